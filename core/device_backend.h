// SPDX-License-Identifier: Apache-2.0
// What a device other than the CPU brings to the core: memory, copies, waiting.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/allocator.h"
#include "core/device.h"

namespace clausius {

class Communicator;
struct CommunicatorOptions;
class Tensor;

struct DeviceMemory {
  std::int64_t free_bytes = 0;  // now, for any process
  std::int64_t total_bytes = 0;
};

/// A moment in a device's work.
class DeviceMoment {
 public:
  DeviceMoment() = default;
  DeviceMoment(const DeviceMoment&) = delete;
  DeviceMoment& operator=(const DeviceMoment&) = delete;
  virtual ~DeviceMoment() = default;
  /// On the host's clock; waits until it has come.
  [[nodiscard]] virtual std::chrono::steady_clock::time_point time() = 0;
};

/// Work that a device was once asked for, and does again without being asked for each part of it.
class DeviceProgram {
 public:
  DeviceProgram() = default;
  DeviceProgram(const DeviceProgram&) = delete;
  DeviceProgram& operator=(const DeviceProgram&) = delete;
  virtual ~DeviceProgram() = default;
  /// In the place of the work: ordered with what is asked before and after.
  virtual void run() = 0;
};

struct DeviceRecording {
  std::unique_ptr<DeviceProgram> program{};  // null where the work cannot be recorded
  std::string refusal{};                     // and why
};

/// A host tensor on its way to a device.
class DeviceUpload {
 public:
  DeviceUpload() = default;
  DeviceUpload(const DeviceUpload&) = delete;
  DeviceUpload& operator=(const DeviceUpload&) = delete;
  virtual ~DeviceUpload() = default;
  /// The tensor on the device, for what is asked of it from here on.
  [[nodiscard]] virtual Tensor take() = 0;
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
  /// The GPU that this process works on from now on, of count(): its device 0. Before anything is asked of the device.
  virtual void select(int ordinal) = 0;
  /// Collectives on tensors of this device, beside those of `host`, over the same ranks. Collective.
  /// Errors: CommError, DeviceError.
  [[nodiscard]] virtual std::unique_ptr<Communicator> connect(
      std::unique_ptr<Communicator> host, const CommunicatorOptions& options) = 0;
  /// Calls `work` and keeps what it asks of the device, which does nothing yet. Memory that it uses belongs to the program. Refused where
  /// the work copies from or to the host, waits, or calls refuse_in_recording().
  [[nodiscard]] virtual DeviceRecording record(const std::function<void()>& work) = 0;
  /// Ends a recording that is under way, if any: the caller's work will not be the same next time.
  virtual void refuse_in_recording(std::string_view why) = 0;
  /// Copies while the device goes on with what it was asked for; the tensor may be used again when this returns.
  [[nodiscard]] virtual std::unique_ptr<DeviceUpload> upload(const Tensor& host) = 0;
  /// The moment at which the device has done what was asked of it so far.
  [[nodiscard]] virtual std::unique_ptr<DeviceMoment> mark() = 0;
  /// Waits until the device has done all that was asked of it. Errors: DeviceError naming what failed.
  virtual void synchronize(int index) = 0;
  /// Of the GPU that this process works on.
  [[nodiscard]] virtual DeviceMemory memory() const = 0;
  /// Names what the calling thread asks for from here to end_range, for a profiler's timeline. Ranges nest.
  virtual void begin_range(std::string_view name) = 0;
  virtual void end_range() noexcept = 0;
};

/// A moment in the work of any device.
class Moment {
 public:
  Moment() = default;
  /// When `device` has done what was asked of it so far; of the CPU: now.
  explicit Moment(Device device);
  /// On the host's clock; waits until it has come.
  [[nodiscard]] std::chrono::steady_clock::time_point time() const;

 private:
  std::chrono::steady_clock::time_point time_{};
  std::shared_ptr<DeviceMoment> there_;
};

/// The backend of CUDA devices; nullptr where this build has none or the machine no device.
[[nodiscard]] DeviceBackend* cuda_backend();
/// As above. Errors: DeviceError saying which of the two it is.
[[nodiscard]] DeviceBackend& require_backend(Device device);
/// DeviceBackend::refuse_in_recording; nothing on the CPU.
void refuse_in_recording(Device device, std::string_view why);
/// Whether this build has a backend of CUDA devices, wherever it runs.
[[nodiscard]] bool built_with_cuda();
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
