// SPDX-License-Identifier: Apache-2.0
// What a device other than the CPU brings to the core: memory, copies, waiting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/allocator.h"
#include "core/device.h"

namespace clausius {

class Tensor;

struct DeviceMemory {
  std::int64_t free_bytes = 0;  // now, by any process
  std::int64_t total_bytes = 0;
};

/// The seam between the core and a device's library: everything above asks here, kernels register themselves in their op's table.
/// Work on a device is ordered as it was asked for, and so are these calls; errors of earlier kernels may surface here.
class DeviceBackend {
 public:
  DeviceBackend() = default;
  DeviceBackend(const DeviceBackend&) = delete;
  DeviceBackend& operator=(const DeviceBackend&) = delete;
  virtual ~DeviceBackend() = default;

  /// Devices of this kind that the process may use.
  [[nodiscard]] virtual int count() const = 0;
  /// One line for `doctor`: name, memory, capability.
  [[nodiscard]] virtual std::string describe(int index) const = 0;
  [[nodiscard]] virtual Allocator& allocator(int index) = 0;
  /// Dense bytes between a device and the host, or within a device. The host side may be used again when it returns.
  virtual void copy_bytes(
      void* to, Device to_device, const void* from, Device from_device, std::size_t bytes) = 0;
  /// Element by element within one device, any strides and types (floats round to nearest even); sizes are equal.
  virtual void copy(const Tensor& source, Tensor& destination) = 0;
  virtual void fill(Tensor& destination, double value) = 0;
  /// Waits until the device has done all that was asked of it. Errors: DeviceError naming what failed.
  virtual void synchronize(int index) = 0;
  [[nodiscard]] virtual DeviceMemory memory(int index) const = 0;
  /// Names what the calling thread asks for from here to end_range, for a profiler's timeline. Ranges nest.
  virtual void begin_range(std::string_view name) = 0;
  virtual void end_range() noexcept = 0;
};

/// The backend of CUDA devices; nullptr where this build has none or the machine no device.
[[nodiscard]] DeviceBackend* cuda_backend();
/// As above. Errors: DeviceError saying which of the two it is.
[[nodiscard]] DeviceBackend& require_backend(Device device);
/// Before main, by the part of the build that has one. `probe` is called at the first use and may answer nullptr: no device here.
void register_cuda_backend(DeviceBackend* (*probe)());

/// A named stretch of a profiler's timeline, from construction to destruction on one thread: every op on a device is one, and
/// `const DeviceRange range(device, "backward");` makes more. On the CPU nothing; without a profiler a few nanoseconds.
class DeviceRange {
 public:
  DeviceRange(Device device, std::string_view name) {
    if (device.kind != DeviceKind::kCpu) {
      begin(name);
    }
  }
  ~DeviceRange() {
    if (backend_ != nullptr) {
      backend_->end_range();
    }
  }
  DeviceRange(const DeviceRange&) = delete;
  DeviceRange& operator=(const DeviceRange&) = delete;

 private:
  void begin(std::string_view name);

  DeviceBackend* backend_ = nullptr;
};

}  // namespace clausius
