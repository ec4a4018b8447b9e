// SPDX-License-Identifier: Apache-2.0
// One optimizer step: micro-batches forward and backward, gradients over ranks, clip, update.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/comm/communicator.h"
#include "data/loader.h"
#include "layers/models/model.h"
#include "optim/optimizer.h"
#include "train/gradient_reducer.h"
#include "train/monitor/attention_entropy.h"
#include "train/monitor/layer_norms.h"
#include "train/qk_clip.h"
#include "train/step_program.h"

namespace clausius {

/// When the step's last backward ran where the model is, for traces.
struct BackwardTimes {
  Moment begin;
  Moment end;
};

struct TrainStepOptions {
  std::uint64_t seed = 0;
  /// Of the whole run: where annealed regularizers end.
  std::int64_t steps = 1;
  std::optional<double> clip_norm;
  Recompute recompute = Recompute::kNone;
  /// Keep times of backward; excludes recording.
  bool trace = false;
  /// Record the work of a step on a device where that can be done (one rank).
  bool record = false;
  /// What every step reports, observed or not: a recording repeats it at no cost to the host.
  TelemetryRequest telemetry{};
};

/// What one step is watched for beyond entropies and largest logits. Changes no number of the step; a step that is asked for more than
/// others are does not run as a recording.
struct StepWatch {
  TelemetryRequest telemetry{};
  ActivationTotals* activations = nullptr;
};

struct StepOutcome {
  double loss = 0;  // nats per target over the global batch: the objective alone
  std::vector<std::pair<std::string, double>>
      aux_losses{};  // weighted; the step's gradient is that of loss + their sum
  /// Mean over targets and largest of the log-sum-exp of the head's logits, where a regularizer acts on it.
  std::optional<double> lse_mean{};
  std::optional<double> lse_max{};
  double grad_norm = 0;  // before clipping
  double update_norm = 0;
  bool finite = true;   // losses and gradient; the update is left out where they are not
  bool updated = true;  // false where it was left out
  /// Sums of squares over each of ParameterStore::owned(): of the gradient before clipping, and of the update (empty without one).
  std::vector<double> gradient_squares{};
  std::vector<double> update_squares{};
};

/// Loss of the step = sum of token losses / valid tokens of the global batch, whatever the split into micro-batches and ranks; each
/// regularizer is normalised over the global batch by its own counts. After the update, projections are clipped where layers ask for it.
class TrainStep {
 public:
  TrainStep(Model& model,
            Optimizer& optimizer,
            GradientReducer& reducer,
            Communicator& communicator,
            const TrainStepOptions& options);

  /// `data`: this rank's part of the step; `step` from 1. Entropies of all its rows are added to `entropy`. Collective; waits for a
  /// device twice: for loss and gradient norm, and for the update.
  /// `meanwhile` is called when a device has its work and before anybody waits for it. `entropy` must be the same object in all steps.
  /// `accepts`, where given, is asked when loss and gradient norm are known and finite: false leaves the update out. All ranks must answer
  /// alike.
  [[nodiscard]] StepOutcome run(const LoadedStep& data,
                                std::int64_t step,
                                double lr,
                                EntropyTotals& entropy,
                                const std::function<void()>& meanwhile = {},
                                const StepWatch& watch = {},
                                const std::function<bool(const StepOutcome&)>& accepts = {});

  /// Whether steps run as a recording, or why not.
  [[nodiscard]] const StepProgram& program() const { return program_; }

  [[nodiscard]] QkClip& qk_clip() { return qk_clip_; }
  [[nodiscard]] const QkClip& qk_clip() const { return qk_clip_; }

  /// Of the last micro-batch of the last step, when options.trace.
  [[nodiscard]] const BackwardTimes& backward_times() const { return backward_times_; }

 private:
  /// Everything up to the sums of squares of the gradients. Fills `numbers`, f64 where the model is: a row for each micro-batch, its loss,
  /// the sums of the regularizers and two of the head's log-sum-exp, then sums of squares of the parts of the gradient; all that the host must know, in one copy.
  void compute(const std::vector<Batch>& micro_batches,
               std::int64_t step,
               Tensor& numbers,
               EntropyTotals& entropy,
               const StepWatch& watch);
  void forward_backward(const Batch& batch,
                        std::int64_t step,
                        bool last,
                        const Tensor& losses,
                        EntropyTotals& entropy,
                        const StepWatch& watch);
  [[nodiscard]] SumOverRanks sum_over_ranks();
  /// What each regularizer's sum over the global batch is multiplied by. Collective.
  [[nodiscard]] std::vector<double> regularizer_factors(const LoadedStep& data, std::int64_t step);
  /// Losses of the step from the numbers of this rank. Collective.
  void read_losses(const Tensor& losses_NL,
                   double weight,
                   const std::vector<double>& factors,
                   StepOutcome& outcome);
  /// Root of the sum of squares, of all ranks where each knows its share alone.
  [[nodiscard]] double norm_of(const Tensor& squares, std::string_view what) const;

  Model& model_;
  Optimizer& optimizer_;
  GradientReducer& reducer_;
  Communicator& communicator_;
  TrainStepOptions options_;
  Tensor numbers_;  // of full steps
  std::vector<const Regularizer*> regularizers_;
  bool regularizes_head_ = false;
  std::int64_t terms_ = 0;  // numbers of a micro-batch
  Tensor shares_;           // [regularizers], f64: their seeds over that of the loss
  QkClip qk_clip_;
  Tensor
      seeds_;  // [1 + regularizers], f64: gradient of each loss sum, then of the sums of the regularizers
  StepProgram program_;
  BackwardTimes backward_times_;
};

}  // namespace clausius
