// SPDX-License-Identifier: Apache-2.0
// The arithmetic of a step.
#include "train/train_step.h"

#include <cmath>
#include <numeric>
#include <span>

#include "autograd/tape.h"
#include "core/checked.h"
#include "core/ops/sum_of_squares/sum_of_squares.h"
#include "train/buckets.h"

namespace clausius {
namespace {

double sum_of(const Tensor& values) {
  const std::span<const double> all = values.span<double>();
  return std::accumulate(all.begin(), all.end(), 0.0);
}

}  // namespace

TrainStep::TrainStep(Model& model,
                     Optimizer& optimizer,
                     GradientReducer& reducer,
                     Communicator& communicator,
                     const TrainStepOptions& options)
    : model_(model),
      optimizer_(optimizer),
      reducer_(reducer),
      communicator_(communicator),
      options_(options),
      seed_(Tensor::empty({}, Dtype::kF64, model.parameters().device())),
      program_(model.parameters().device(),
               options.record && !options.trace &&
                   model.parameters().device().kind != DeviceKind::kCpu &&
                   communicator.size() == 1) {}

StepOutcome TrainStep::run(const LoadedStep& data,
                           std::int64_t step,
                           double lr,
                           EntropyTotals& entropy,
                           const std::function<void()>& meanwhile) {
  const double weight = communicator_.all_reduce(data.weight, ReduceOp::kSum, "loss weight");
  CLS_CHECK(weight > 0, DataError, "step ", step, ": no target of the batch carries loss");
  ParameterStore& parameters = model_.parameters();
  const std::int64_t losses = std::ssize(data.micro_batches);
  const std::int64_t count = losses + std::ssize(parameters.owned());
  // A step of fewer micro-batches, the last of a run, is no reason to move what a recording writes to.
  Tensor numbers = numbers_;
  if (!numbers.defined() || numbers.numel() != count) {
    numbers = Tensor::empty({count}, Dtype::kF64, parameters.device());
    numbers_ = numbers_.defined() ? numbers_ : numbers;
  }
  seed_.fill(1.0 / weight);
  program_.run(data.micro_batches, [&](const std::vector<Batch>& micro_batches) {
    compute(micro_batches, step, numbers, entropy);
  });
  if (meanwhile) {
    meanwhile();
  }
  numbers = numbers.to(kCpu);
  StepOutcome outcome;
  outcome.loss =
      communicator_.all_reduce(sum_of(numbers.slice(0, 0, losses)), ReduceOp::kSum, "loss") /
      weight;
  outcome.grad_norm = norm_of(numbers.slice(0, losses, count), "gradient norm");
  outcome.finite = std::isfinite(outcome.loss) && std::isfinite(outcome.grad_norm);
  if (outcome.finite) {
    const double clip = options_.clip_norm.value_or(0.0);
    const double scale = clip > 0 && outcome.grad_norm > clip ? clip / outcome.grad_norm : 1.0;
    const DeviceRange range(parameters.device(), "optimizer");
    const Tensor change = optimizer_.step({.lr = lr, .gradient_scale = scale, .step = step});
    if (reducer_.shared()) {
      gather_parameters(parameters, communicator_, reducer_.buckets());
    }
    outcome.update_norm = norm_of(change.to(kCpu), "update norm");
  }
  return outcome;
}

void TrainStep::compute(const std::vector<Batch>& micro_batches,
                        std::int64_t step,
                        Tensor& numbers,
                        EntropyTotals& entropy) {
  ParameterStore& parameters = model_.parameters();
  parameters.begin_step();
  const std::int64_t losses = std::ssize(micro_batches);
  for (std::int64_t i = 0; i < losses; ++i) {
    forward_backward(micro_batches[static_cast<std::size_t>(i)], step, i + 1 == losses,
                     numbers.select(0, i), entropy);
  }
  if (micro_batches.empty()) {
    reducer_.start(nullptr);
  }
  reducer_.finish();
  for (std::int64_t i = 0; i < std::ssize(parameters.owned()); ++i) {
    const FlatRange& owned = parameters.owned()[static_cast<std::size_t>(i)];
    numbers.select(0, losses + i)
        .copy_from(ops::sum_of_squares(parameters.gradients().slice(0, owned.begin, owned.end)));
  }
}

void TrainStep::forward_backward(
    const Batch& batch, std::int64_t step, bool last, Tensor loss, EntropyTotals& entropy) {
  Tape tape;
  const ParameterStore::Bind bind(model_.parameters(), &tape);
  const Device device = model_.parameters().device();
  const ForwardLoss forward = [&] {
    const DeviceRange range(device, "forward");
    Telemetry telemetry;
    ForwardLoss made = model_.forward_loss(batch, {.phase = Phase::kTrain,
                                                   .seed = options_.seed,
                                                   .step = narrow<std::uint32_t>(step),
                                                   .recompute = options_.recompute,
                                                   .telemetry = &telemetry});
    loss.copy_from(made.loss_sum.value());
    entropy.add(telemetry);
    return made;
  }();
  if (options_.trace) {
    backward_times_.begin = Moment(device);
  }
  const DeviceRange range(device, "backward");
  const Tensor seed = seed_.to(forward.loss_sum.dtype());
  if (last) {
    reducer_.start(&tape);
    tape.backward(forward.loss_sum, seed,
                  [this](Parameter& parameter) { reducer_.ready(parameter); });
  } else {
    tape.backward(forward.loss_sum, seed);
  }
  if (options_.trace) {
    backward_times_.end = Moment(device);
  }
}

double TrainStep::norm_of(const Tensor& squares, std::string_view what) const {
  const double sum = sum_of(squares);
  return std::sqrt(reducer_.shared() ? communicator_.all_reduce(sum, ReduceOp::kSum, what) : sum);
}

}  // namespace clausius
