// SPDX-License-Identifier: Apache-2.0
// Loader: the micro-batches of this rank, step by step, read ahead in the background.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "core/batch.h"
#include "data/dataset.h"

namespace clausius {

struct LoaderPlan {
  /// Samples of a step over all ranks.
  std::int64_t batch_samples = 1;
  /// Most samples of one forward pass.
  std::int64_t micro_batch = 1;
  int rank = 0;
  int ranks = 1;
  /// Steps read ahead by a background thread; 0 reads when asked.
  std::int64_t prefetch = 2;
  /// Samples seen before, over all ranks: where a resumed run goes on.
  std::int64_t first_sample = 0;
  /// Samples after which the sequence ends; the last step may be smaller.
  std::int64_t end_sample = std::numeric_limits<std::int64_t>::max();
};

/// The part of one step that falls to a rank.
struct LoadedStep {
  std::int64_t first_sample = 0;
  /// Samples of the step over all ranks.
  std::int64_t samples = 0;
  /// In the order of the samples; empty where a last step has fewer samples than ranks.
  std::vector<Batch> micro_batches;
  /// Targets with loss in all of them.
  double weight = 0.0;

  /// Samples seen when the step is done, over all ranks: the cursor a checkpoint stores.
  [[nodiscard]] std::int64_t end_sample() const { return first_sample + samples; }
};

/// Samples [begin, end) of a step for each rank are consecutive and differ by at most one in number, so that putting
/// the ranks' batches one after the other gives the step, whatever their number.
class Loader {
 public:
  /// `samples` must outlive the loader.
  /// Errors:  InternalError for an impossible plan.
  Loader(const SampleSequence& samples, const LoaderPlan& plan);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next step; nothing after the end. An error of the background thread is thrown here, at the step it belongs
  /// to.
  [[nodiscard]] std::optional<LoadedStep> next();

 private:
  class Reader;
  std::unique_ptr<Reader> reader_;
};

}  // namespace clausius
