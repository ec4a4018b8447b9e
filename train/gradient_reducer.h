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

/// A bucket is launched when all its gradients are final and every bucket before it has been launched: the same order on every rank.
class GradientReducer {
 public:
  /// `buckets`: as make_buckets() cuts them. `shared`: this rank gets the sum of its share of each bucket alone (ZeRO-1).
  GradientReducer(ParameterStore& parameters,
                  Communicator& communicator,
                  std::vector<FlatRange> buckets,
                  bool shared);

  /// Before the backward of the step's last micro-batch (or without any): parameters the tape does not use are final now.
  void start(const Tape* tape);
  /// From the tape: this parameter's gradient is final.
  void ready(Parameter& parameter);
  /// Waits for all buckets. Errors: CommError.
  void finish();
  [[nodiscard]] std::vector<BucketTrace> trace() const;
  [[nodiscard]] const std::vector<FlatRange>& buckets() const { return ranges_; }
  [[nodiscard]] bool shared() const { return shared_; }

 private:
  struct Bucket {
    std::int64_t parameters = 0;
    std::int64_t pending = 0;
    Work work{};
  };
  void launch_ready();
  [[nodiscard]] Work launch(std::size_t bucket);

  ParameterStore& parameters_;
  Communicator& communicator_;
  std::vector<FlatRange> ranges_;
  bool shared_;
  std::vector<Bucket> buckets_;
  // The buckets a parameter lies in, [first, last].
  std::unordered_map<const Parameter*, std::pair<std::size_t, std::size_t>> buckets_of_;
  std::size_t launched_ = 0;
};

}  // namespace clausius
