// SPDX-License-Identifier: Apache-2.0
// The numbers of a run that follow from recipe, data and machine, worked out before it starts.
#pragma once

#include <cstdint>
#include <optional>

#include "core/config_duration.h"
#include "data/dataset.h"
#include "train/recipe.h"

namespace clausius {

struct RunPlan {
  std::int64_t steps = 0;
  std::int64_t batch_samples = 0;
  std::int64_t end_sample = 0;  // the run sees samples [0, end_sample)
  std::int64_t micro_batch = 0;
  int threads = 1;
  int ranks = 1;
  std::int64_t bucket_bytes = 0;
  std::int64_t tokens_per_sample = 0;
  /// What durations are measured by.
  Duration::Run run;
  std::int64_t monitor_every = 0;
  std::int64_t checkpoint_every = 0;
  std::int64_t evaluate_every = 0;  // 0 = at the end alone
  std::int64_t evaluate_samples = 0;
  std::int64_t check_every = 0;  // 0 = never
};

/// Errors: ConfigError where the recipe's numbers do not fit the data or the ranks.
[[nodiscard]] RunPlan plan_run(const Recipe& recipe,
                               const DataFacts& data,
                               int ranks,
                               int cores_per_rank);

/// How many validation samples `evaluate.samples` means.
[[nodiscard]] std::int64_t evaluation_samples(const EvaluateConfig& evaluate,
                                              const DataFacts& data);
/// Samples of one forward pass at most: what the recipe says, or as many as run at full speed.
[[nodiscard]] std::int64_t micro_batch_of(const TrainConfig& train, std::int64_t context_length);

}  // namespace clausius
