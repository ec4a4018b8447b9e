// SPDX-License-Identifier: Apache-2.0
// Launch order of gradient buckets.
#include "train/gradient_reducer.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "train/buckets.h"

namespace clausius {

GradientReducer::GradientReducer(ParameterStore& parameters,
                                 Communicator& communicator,
                                 std::vector<FlatRange> buckets,
                                 bool shared)
    : parameters_(parameters),
      communicator_(communicator),
      ranges_(std::move(buckets)),
      shared_(shared),
      buckets_(ranges_.size()) {
  // Buckets run from the end of the buffers to their beginning.
  const auto bucket_at = [this](std::int64_t element) {
    const auto found = std::ranges::find_if(
        ranges_, [element](const FlatRange& range) { return range.begin <= element; });
    return static_cast<std::size_t>(found - ranges_.begin());
  };
  for (const Parameter& parameter : parameters.parameters()) {
    const std::int64_t last = parameter.offset() + std::max<std::int64_t>(1, parameter.numel()) - 1;
    const auto touched = std::pair(bucket_at(last), bucket_at(parameter.offset()));
    buckets_of_[&parameter] = touched;
    for (std::size_t i = touched.first; i <= touched.second; ++i) {
      ++buckets_[i].parameters;
    }
  }
}

void GradientReducer::start(const Tape* tape) {
  launched_ = 0;
  for (Bucket& bucket : buckets_) {
    bucket.pending = bucket.parameters;
    bucket.work = Work();
  }
  for (Parameter& parameter : parameters_.parameters()) {
    if (tape == nullptr || tape->pending_uses(parameter) == 0) {
      parameter.finish_gradient();
      ready(parameter);
    }
  }
  launch_ready();
}

void GradientReducer::ready(Parameter& parameter) {
  const auto [first, last] = buckets_of_.at(&parameter);
  for (std::size_t i = first; i <= last; ++i) {
    --buckets_[i].pending;
  }
  launch_ready();
}

void GradientReducer::launch_ready() {
  while (launched_ < buckets_.size() && buckets_[launched_].pending == 0) {
    buckets_[launched_].work = launch(launched_);
    ++launched_;
  }
}

Work GradientReducer::launch(std::size_t bucket) {
  const FlatRange& range = ranges_[bucket];
  const Tensor values = parameters_.gradients().slice(0, range.begin, range.end);
  const std::string name = concat("gradient bucket ", bucket);
  if (!shared_) {
    return communicator_.all_reduce_async(values, name);
  }
  const FlatRange own = share_of(range, communicator_.rank(), communicator_.size());
  return communicator_.reduce_scatter_async(
      values, parameters_.gradients().slice(0, own.begin, own.end), name);
}

void GradientReducer::finish() {
  CLS_CHECK(launched_ == buckets_.size(), InternalError, "only ", launched_, " of ",
            buckets_.size(), " gradient buckets are final after backward");
  for (const Bucket& bucket : buckets_) {
    bucket.work.wait();
  }
}

std::vector<BucketTrace> GradientReducer::trace() const {
  std::vector<BucketTrace> traces;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    traces.push_back(
        {.bucket = i, .elements = ranges_[i].size(), .times = buckets_[i].work.times()});
  }
  return traces;
}

}  // namespace clausius
