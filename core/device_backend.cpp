// SPDX-License-Identifier: Apache-2.0
// The registered backend.
#include "core/device_backend.h"

#include "core/error.h"

namespace clausius {
namespace {

DeviceBackend* (*&cuda_probe())() {
  static DeviceBackend* (*probe)() = nullptr;
  return probe;
}

}  // namespace

void register_cuda_backend(DeviceBackend* (*probe)()) {
  cuda_probe() = probe;
}

bool built_with_cuda() {
  return cuda_probe() != nullptr;
}

DeviceBackend* cuda_backend() {
  static DeviceBackend* const backend = cuda_probe() == nullptr ? nullptr : cuda_probe()();
  return backend;
}

void DeviceRange::begin(std::string_view name) {
  backend_ = cuda_backend();
  if (backend_ != nullptr) {
    backend_->begin_range(name);
  }
}

DeviceBackend& require_backend(Device device) {
  CLS_CHECK(device.kind == DeviceKind::kCuda, DeviceError, "device ", device, " has no backend");
  CLS_CHECK(built_with_cuda(), DeviceError, "device ", device,
            ": this build has the CPU backend only; configure with CLAUSIUS_CUDA=ON");
  DeviceBackend* backend = cuda_backend();
  CLS_CHECK(backend != nullptr, DeviceError, "device ", device,
            ": no CUDA device can be used on this machine");
  CLS_CHECK(device.index >= 0 && device.index < backend->count(), DeviceError, "device ", device,
            ": this process sees ", backend->count(), " CUDA devices");
  return *backend;
}

void refuse_in_recording(Device device, std::string_view why) {
  if (device.kind != DeviceKind::kCpu) {
    require_backend(device).refuse_in_recording(why);
  }
}

Moment::Moment(Device device) {
  if (device.kind == DeviceKind::kCpu) {
    time_ = std::chrono::steady_clock::now();
  } else {
    there_ = require_backend(device).mark();
  }
}

std::chrono::steady_clock::time_point Moment::time() const {
  return there_ ? there_->time() : time_;
}

}  // namespace clausius
