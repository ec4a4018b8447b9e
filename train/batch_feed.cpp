// SPDX-License-Identifier: Apache-2.0
// One step ahead of the device.
#include "train/batch_feed.h"

#include <utility>

namespace clausius {

std::optional<LoadedStep> BatchFeed::load(std::int64_t number) {
  std::optional<LoadedStep> step = loader_.next();
  if (step) {
    for (Batch& batch : step->micro_batches) {
      batch = objective_.prepare(std::move(batch), number);
    }
  }
  return step;
}

void BatchFeed::prepare(std::int64_t number) {
  if (device_.kind == DeviceKind::kCpu || ahead_) {
    return;
  }
  ahead_ = true;
  try {
    next_ = load(number);
    for (std::size_t i = 0; next_ && i < next_->micro_batches.size(); ++i) {
      Batch& batch = next_->micro_batches[i];
      batch.mark_documents();
      for (Tensor Batch::*const member : Batch::kDeviceParts) {
        if ((batch.*member).defined()) {
          parts_.push_back({i, member, require_backend(device_).upload(batch.*member)});
        }
      }
    }
  } catch (...) {
    failure_ = std::current_exception();
  }
}

std::optional<LoadedStep> BatchFeed::take(std::int64_t number) {
  if (!ahead_) {
    return load(number);
  }
  ahead_ = false;
  if (failure_) {
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
  for (const Part& part : parts_) {
    next_->micro_batches[part.batch].*part.member = part.upload->take();
  }
  parts_.clear();
  return std::exchange(next_, std::nullopt);
}

}  // namespace clausius
