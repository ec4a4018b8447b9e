// SPDX-License-Identifier: Apache-2.0
// The allocator of every device: size-class free lists over blocks of the device's memory, with accounts and a limit.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/allocator.h"

namespace clausius {

/// Where blocks come from.
struct MemorySource {
  /// At least 64-byte aligned; nullptr when there is no more.
  void* (*allocate)(std::size_t bytes);
  void (*free)(void* pointer);
  /// Fills with 0xFF.
  void (*poison)(void* pointer, std::size_t bytes);
  /// Blocks are address space alone, which dry runs take and keep like any other.
  bool dry = false;
};

/// Free blocks of each size class.
using FreeBlocks = std::map<std::size_t, std::vector<void*>>;

/// Freed blocks are handed out again at once: work on a device runs in the order it was asked for, so what used a block before is
/// done before what uses it next begins.
class CachingAllocator final : public Allocator {
 public:
  explicit CachingAllocator(const MemorySource& source) : source_(source) {}
  ~CachingAllocator() override;

  void* allocate(std::size_t bytes) override;
  void release(void* pointer, std::size_t bytes) noexcept override;
  [[nodiscard]] MemoryStats stats() const override;
  void reset_peak() override;
  void trim() override;
  void set_limit(std::size_t bytes) override;

  /// Until end_hold(), blocks that come free are kept apart and handed out first; then the caller has them: the memory of a recorded
  /// program, which nobody else may use between its runs.
  void begin_hold();
  [[nodiscard]] FreeBlocks end_hold();
  void give_back(const FreeBlocks& blocks);

 private:
  void* take(std::size_t block);
  void* take_cached(std::size_t block);
  [[nodiscard]] static void* take_from(FreeBlocks& blocks, std::size_t block);
  void* reserve(std::size_t block);
  [[nodiscard]] bool within_limit(std::size_t block, bool with_cache) const;
  [[nodiscard]] std::string limit_text() const;

  MemorySource source_;
  mutable std::mutex mutex_;
  FreeBlocks free_;
  FreeBlocks held_;
  bool holding_ = false;
  std::unordered_set<void*> reserved_;
  std::size_t limit_ = static_cast<std::size_t>(-1);
  MemoryStats stats_;
};

/// Pages that nothing stands behind until they are touched; nullptr where the system has no more. munmap returns them.
[[nodiscard]] void* reserve_address_space(std::size_t bytes);

/// True while a PoisonFreshMemory lives.
[[nodiscard]] bool poisoning() noexcept;

}  // namespace clausius
