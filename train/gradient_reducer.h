// SPDX-License-Identifier: Apache-2.0
// Sums gradients over ranks in buckets while backward is still running.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "autograd/parameter.h"
#include "autograd/tape.h"
#include "core/comm/communicator.h"

namespace clausius {

/// When a bucket's sum began and ended, for traces.
struct BucketTrace {
  std::size_t bucket = 0;
  std::int64_t elements = 0;
  Work::Times times;
};

/// The flat gradient buffer is cut into buckets in reverse order of the parameters (the order in which backward finishes them). A
/// bucket is launched when all its gradients are final and every bucket before it has been launched: the same order on every rank.
class GradientReducer {
 public:
  /// `bucket_bytes`: least size of a bucket but the last.
  GradientReducer(ParameterStore& parameters,
                  Communicator& communicator,
                  std::int64_t bucket_bytes);

  /// Before the backward of the step's last micro-batch (or without any): parameters the tape does not use are final now.
  void start(const Tape* tape);
  /// From the tape: this parameter's gradient is final.
  void ready(Parameter& parameter);
  /// Waits for all buckets. Errors: CommError.
  void finish();
  [[nodiscard]] std::vector<BucketTrace> trace() const;
  [[nodiscard]] std::size_t num_buckets() const { return buckets_.size(); }

 private:
  struct Bucket {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::int64_t parameters = 0;
    std::int64_t pending = 0;
    Work work{};
    Tensor values{};  // what is being reduced
  };
  void launch_ready();
  [[nodiscard]] Tensor gradients_of(const Bucket& bucket) const;

  ParameterStore& parameters_;
  Communicator& communicator_;
  std::vector<Bucket> buckets_;
  std::unordered_map<const Parameter*, std::size_t> bucket_of_;
  std::size_t launched_ = 0;
};

}  // namespace clausius
