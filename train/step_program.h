// SPDX-License-Identifier: Apache-2.0
// The device work of a step, recorded once and then started as a whole: a small model's step is mostly the asking.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/batch.h"
#include "core/device_backend.h"

namespace clausius {

/// Runs work on batches; the second time for batches of the same shapes it is recorded, and from then on the recording runs. The work
/// must write to the same memory each time, and depend on nothing but that memory and the batches.
class StepProgram {
 public:
  using Batches = std::vector<Batch>;

  StepProgram(Device device, bool wanted) : device_(device), wanted_(wanted) {}

  /// Batches may be on the host or on the device; `work` gets them on the device.
  void run(const Batches& batches, const std::function<void(const Batches&)>& work);
  /// The same once, without a recording, whatever the shapes: for work that others do not repeat.
  void run_once(const Batches& batches, const std::function<void(const Batches&)>& work);
  [[nodiscard]] bool recorded() const { return program_ != nullptr; }
  /// Why the work was not recorded, when that was tried; it runs as if nobody had asked.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

 private:
  [[nodiscard]] Batches on_device(const Batches& batches) const;
  void record(const Batches& batches, const std::function<void(const Batches&)>& work);

  Device device_;
  bool wanted_;
  std::vector<Shape> seen_;
  Batches inputs_;  // what the recording reads
  std::unique_ptr<DeviceProgram> program_;
  std::string refusal_;
};

}  // namespace clausius
