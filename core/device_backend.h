// SPDX-License-Identifier: Apache-2.0
// What a device other than the CPU brings to the core: memory, copies, waiting.
#pragma once

#include <cstddef>
#include <string>

#include "core/allocator.h"
#include "core/device.h"

namespace clausius {

class Tensor;

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
};

/// The backend of CUDA devices; nullptr where this build has none or the machine no device.
[[nodiscard]] DeviceBackend* cuda_backend();
/// As above. Errors: DeviceError saying which of the two it is.
[[nodiscard]] DeviceBackend& require_backend(Device device);
/// Whether this build has a backend of CUDA devices, wherever it runs.
[[nodiscard]] bool built_with_cuda();
/// Before main, by the part of the build that has one. `probe` is called at the first use and may answer nullptr: no device here.
void register_cuda_backend(DeviceBackend* (*probe)());

}  // namespace clausius
