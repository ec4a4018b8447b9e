// SPDX-License-Identifier: Apache-2.0
// When to record, and what a recording reads.
#include "train/step_program.h"

#include <utility>

namespace clausius {
namespace {

std::vector<Shape> shapes_of(const std::vector<Batch>& batches) {
  std::vector<Shape> shapes;
  for (const Batch& batch : batches) {
    shapes.push_back(batch.inputs_BT.shape());
  }
  return shapes;
}

}  // namespace

StepProgram::Batches StepProgram::on_device(const Batches& batches) const {
  Batches there;
  for (Batch batch : batches) {
    if (device_.kind != DeviceKind::kCpu) {
      batch.mark_documents();  // always: what is recorded reads them
    }
    there.push_back(batch.to(device_));
  }
  return there;
}

void StepProgram::run_once(const Batches& batches,
                           const std::function<void(const Batches&)>& work) {
  work(on_device(batches));
}

void StepProgram::run(const Batches& batches, const std::function<void(const Batches&)>& work) {
  const Batches there = on_device(batches);
  const std::vector<Shape> shapes = shapes_of(batches);
  const bool again = shapes == seen_;
  if (program_ == nullptr && wanted_ && again && refusal_.empty()) {
    record(there, work);
  }
  if (program_ == nullptr || !again) {
    if (program_ == nullptr) {
      seen_ = shapes;
    }
    return work(there);
  }
  for (std::size_t i = 0; i < there.size(); ++i) {
    for (Tensor Batch::*const part : Batch::kDeviceParts) {
      if ((there[i].*part).defined()) {
        (inputs_[i].*part).copy_from(there[i].*part);
      }
    }
  }
  program_->run();
}

void StepProgram::record(const Batches& batches, const std::function<void(const Batches&)>& work) {
  inputs_ = batches;
  for (Batch& batch : inputs_) {
    for (Tensor Batch::*const part : Batch::kDeviceParts) {
      if ((batch.*part).defined()) {
        batch.*part = (batch.*part).clone();
      }
    }
  }
  DeviceRecording recording = require_backend(device_).record([&] { work(inputs_); });
  program_ = std::move(recording.program);
  refusal_ = std::move(recording.refusal);
}

}  // namespace clausius
