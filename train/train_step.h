// SPDX-License-Identifier: Apache-2.0
// One optimizer step: micro-batches forward and backward, gradients over ranks, clip, update.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "core/comm/communicator.h"
#include "data/loader.h"
#include "layers/models/model.h"
#include "optim/optimizer.h"
#include "train/gradient_reducer.h"
#include "train/monitor/attention_entropy.h"

namespace clausius {

/// When the step's backward ran, for traces.
struct BackwardTimes {
  std::chrono::steady_clock::time_point begin;
  std::chrono::steady_clock::time_point end;
};

struct TrainStepOptions {
  std::uint64_t seed = 0;
  std::optional<double> clip_norm;
  Recompute recompute = Recompute::kNone;
};

struct StepOutcome {
  double loss = 0;       // nats per target over the global batch
  double grad_norm = 0;  // before clipping
  double update_norm = 0;
  bool finite = true;  // loss and gradient; the update is left out where they are not
};

/// Loss of the step = sum of token losses / valid tokens of the global batch, whatever the split into micro-batches and ranks.
class TrainStep {
 public:
  TrainStep(Model& model,
            Optimizer& optimizer,
            GradientReducer& reducer,
            Communicator& communicator,
            const TrainStepOptions& options);

  /// `data`: this rank's part of the step; `step` from 1. Entropies of all its rows are added to `entropy`. Collective.
  [[nodiscard]] StepOutcome run(const LoadedStep& data,
                                std::int64_t step,
                                double lr,
                                EntropyTotals& entropy);

  /// Of the last micro-batch of the last step.
  [[nodiscard]] const BackwardTimes& backward_times() const { return backward_times_; }

 private:
  [[nodiscard]] double forward_backward(const LoadedStep& data,
                                        std::int64_t step,
                                        double global_weight,
                                        EntropyTotals& entropy);
  [[nodiscard]] double gradient_norm() const;

  Model& model_;
  Optimizer& optimizer_;
  GradientReducer& reducer_;
  Communicator& communicator_;
  TrainStepOptions options_;
  BackwardTimes backward_times_;
};

}  // namespace clausius
