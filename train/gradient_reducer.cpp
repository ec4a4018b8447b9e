// SPDX-License-Identifier: Apache-2.0
// Buckets of gradients and their launch order.
#include "train/gradient_reducer.h"

#include "core/error.h"

namespace clausius {

GradientReducer::GradientReducer(ParameterStore& parameters,
                                 Communicator& communicator,
                                 std::int64_t bucket_bytes)
    : parameters_(parameters), communicator_(communicator) {
  const std::int64_t least =
      bucket_bytes / static_cast<std::int64_t>(size_of(parameters.gradients().dtype()));
  Bucket bucket{.end = parameters.size()};
  for (auto parameter = parameters.parameters().rbegin();
       parameter != parameters.parameters().rend(); ++parameter) {
    bucket.begin = parameter->offset();
    ++bucket.parameters;
    bucket_of_[&*parameter] = buckets_.size();
    if (bucket.end - bucket.begin >= least || bucket.begin == 0) {
      buckets_.push_back(bucket);
      bucket = Bucket{.end = bucket.begin};
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
      --buckets_[bucket_of_.at(&parameter)].pending;
    }
  }
  launch_ready();
}

void GradientReducer::ready(Parameter& parameter) {
  --buckets_[bucket_of_.at(&parameter)].pending;
  launch_ready();
}

void GradientReducer::launch_ready() {
  while (launched_ < buckets_.size() && buckets_[launched_].pending == 0) {
    Bucket& bucket = buckets_[launched_];
    ++launched_;
    if (communicator_.size() == 1 && parameters_.device() != kCpu) {
      continue;
    }
    // On the host, where the communicator works; gradients of a device come and go.
    bucket.values = gradients_of(bucket).to(kCpu);
    bucket.work = communicator_.all_reduce_async(bucket.values, "gradient bucket");
  }
}

void GradientReducer::finish() {
  CLS_CHECK(launched_ == buckets_.size(), InternalError, "only ", launched_, " of ",
            buckets_.size(), " gradient buckets are final after backward");
  for (Bucket& bucket : buckets_) {
    bucket.work.wait();
    if (bucket.values.defined() && parameters_.device() != kCpu) {
      gradients_of(bucket).copy_from(bucket.values);
    }
    bucket.values = Tensor();
  }
}

Tensor GradientReducer::gradients_of(const Bucket& bucket) const {
  return parameters_.gradients().slice(0, bucket.begin, bucket.end);
}

std::vector<BucketTrace> GradientReducer::trace() const {
  std::vector<BucketTrace> traces;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    traces.push_back({.bucket = i,
                      .elements = buckets_[i].end - buckets_[i].begin,
                      .times = buckets_[i].work.times()});
  }
  return traces;
}

}  // namespace clausius
