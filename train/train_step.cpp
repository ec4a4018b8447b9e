// SPDX-License-Identifier: Apache-2.0
// The arithmetic of a step.
#include "train/train_step.h"

#include <algorithm>
#include <cmath>

#include "autograd/tape.h"
#include "core/checked.h"
#include "core/ops/sum_of_squares/sum_of_squares.h"

namespace clausius {

TrainStep::TrainStep(Model& model,
                     Optimizer& optimizer,
                     GradientReducer& reducer,
                     Communicator& communicator,
                     const TrainStepOptions& options)
    : model_(model),
      optimizer_(optimizer),
      reducer_(reducer),
      communicator_(communicator),
      options_(options) {}

StepOutcome TrainStep::run(const LoadedStep& data,
                           std::int64_t step,
                           double lr,
                           EntropyTotals& entropy) {
  const double weight = communicator_.all_reduce(data.weight, ReduceOp::kSum, "loss weight");
  CLS_CHECK(weight > 0, DataError, "step ", step, ": no target of the batch carries loss");
  model_.parameters().begin_step();
  const double loss_sum = forward_backward(data, step, weight, entropy);
  reducer_.finish();
  StepOutcome outcome;
  outcome.loss = communicator_.all_reduce(loss_sum, ReduceOp::kSum, "loss") / weight;
  outcome.grad_norm = gradient_norm();
  outcome.finite = std::isfinite(outcome.loss) && std::isfinite(outcome.grad_norm);
  if (outcome.finite) {
    const double clip = options_.clip_norm.value_or(0.0);
    const double scale = clip > 0 && outcome.grad_norm > clip ? clip / outcome.grad_norm : 1.0;
    outcome.update_norm = optimizer_.step({.lr = lr, .gradient_scale = scale, .step = step});
  }
  return outcome;
}

double TrainStep::forward_backward(const LoadedStep& data,
                                   std::int64_t step,
                                   double global_weight,
                                   EntropyTotals& entropy) {
  double loss_sum = 0;
  for (std::size_t i = 0; i < data.micro_batches.size(); ++i) {
    Tape tape;
    const ParameterStore::Bind bind(model_.parameters(), &tape);
    Telemetry telemetry;
    const ForwardLoss forward =
        model_.forward_loss(data.micro_batches[i], {.phase = Phase::kTrain,
                                                    .seed = options_.seed,
                                                    .step = narrow<std::uint32_t>(step),
                                                    .recompute = options_.recompute,
                                                    .telemetry = &telemetry});
    loss_sum += forward.loss_sum.value().item();
    entropy.add(telemetry);
    const Tensor seed = Tensor::scalar(1.0 / global_weight, forward.loss_sum.dtype(),
                                       forward.loss_sum.value().device());
    backward_times_.begin = std::chrono::steady_clock::now();
    if (i + 1 == data.micro_batches.size()) {
      reducer_.start(&tape);
      tape.backward(forward.loss_sum, seed,
                    [this](Parameter& parameter) { reducer_.ready(parameter); });
    } else {
      tape.backward(forward.loss_sum, seed);
    }
    backward_times_.end = std::chrono::steady_clock::now();
  }
  if (data.micro_batches.empty()) {
    reducer_.start(nullptr);
  }
  return loss_sum;
}

double TrainStep::gradient_norm() const {
  double squares = 0;
  for (const UpdateRange& range : optimizer_.ranges()) {
    squares +=
        ops::sum_of_squares(model_.parameters().gradients().slice(0, range.begin, range.end)).value;
  }
  return std::sqrt(squares);
}

}  // namespace clausius
