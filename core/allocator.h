// SPDX-License-Identifier: Apache-2.0
// Memory of each device: caching allocators with peak-bytes accounting.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/device.h"

namespace clausius {

/// Bytes as the program asked for them (rounded to 64); cached free blocks are not counted.
struct MemoryStats {
  std::size_t used_bytes = 0;
  std::size_t peak_bytes = 0;
  std::size_t cached_bytes = 0;
};

class Allocator {
 public:
  Allocator() = default;
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;
  virtual ~Allocator() = default;

  /// 64-byte aligned, uninitialised. Errors: MemoryError naming the size asked for and the bytes in
  /// use. In a dry run: address space without memory.
  [[nodiscard]] virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* pointer, std::size_t bytes) noexcept = 0;
  [[nodiscard]] virtual MemoryStats stats() const = 0;
  /// Starts a new peak at the bytes now in use.
  virtual void reset_peak() = 0;
  /// Returns cached free blocks to the system.
  virtual void trim() = 0;
  /// From now on more than this in use is a MemoryError: said in time, where the system would end the process.
  virtual void set_limit(std::size_t bytes) = 0;
};

/// The allocator of a device; in a dry run one of its own for devices, and those need not exist.
/// Errors: DeviceError for a device this build has not.
Allocator& allocator(Device device);

/// While one lives, fresh CPU buffers are filled with 0xFF bytes (NaN in every floating type):
/// shows bytes never written.
class PoisonFreshMemory {
 public:
  PoisonFreshMemory();
  ~PoisonFreshMemory();
  PoisonFreshMemory(const PoisonFreshMemory&) = delete;
  PoisonFreshMemory& operator=(const PoisonFreshMemory&) = delete;
};

}  // namespace clausius
