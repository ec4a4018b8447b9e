// SPDX-License-Identifier: Apache-2.0
// The arithmetic of a step.
#include "train/train_step.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "autograd/tape.h"
#include "core/checked.h"
#include "core/ops/row_lengths/row_lengths.h"
#include "core/ops/sum_of_squares/sum_of_squares.h"
#include "train/buckets.h"

namespace clausius {
namespace {

std::vector<double> as_vector(const Tensor& values) {
  const std::span<const double> all = values.span<double>();
  return {all.begin(), all.end()};
}

double sum_of(const Tensor& values) {
  const std::span<const double> all = values.span<double>();
  return std::accumulate(all.begin(), all.end(), 0.0);
}

// `factors`: one for the loss, one for each regularizer. Sums that nothing trained leads to have no gradient.
std::vector<Tape::Seed> seeds_of(const ForwardLoss& forward, const Tensor& factors) {
  std::vector<Tape::Seed> seeds = {
      {forward.optimized, factors.select(0, 0).to(forward.optimized.dtype())}};
  for (std::size_t i = 0; i < forward.regularizer_sums.size(); ++i) {
    const Variable& sum = forward.regularizer_sums[i];
    if (sum.tracked()) {
      seeds.push_back({sum, factors.select(0, 1 + static_cast<std::int64_t>(i)).to(sum.dtype())});
    }
  }
  return seeds;
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
      regularizers_(model.regularizers()),
      regularizes_head_(std::any_of(regularizers_.begin(),
                                    regularizers_.end(),
                                    [](const Regularizer* one) { return one->of_head(); })),
      terms_(1 + std::ssize(regularizers_) + (regularizes_head_ ? 2 : 0)),
      shares_(Tensor::empty({std::ssize(regularizers_)}, Dtype::kF64, model.parameters().device())),
      qk_clip_(model),
      seeds_(
          Tensor::empty({1 + std::ssize(regularizers_)}, Dtype::kF64, model.parameters().device())),
      program_(model.parameters().device(),
               options.record && !options.trace &&
                   model.parameters().device().kind != DeviceKind::kCpu &&
                   communicator.size() == 1) {}

StepOutcome TrainStep::run(const LoadedStep& data,
                           std::int64_t step,
                           double lr,
                           EntropyTotals& entropy,
                           const std::function<void()>& meanwhile,
                           const StepWatch& given,
                           const std::function<bool(const StepOutcome&)>& accepts) {
  const bool asks_more = given.activations != nullptr ||
                         given.telemetry.with(options_.telemetry) != options_.telemetry;
  const StepWatch watch{given.telemetry.with(options_.telemetry), given.activations};
  const double weight = communicator_.all_reduce(data.weight, ReduceOp::kSum, "loss weight");
  CLS_CHECK(weight > 0, DataError, "step ", step, ": no target of the batch carries loss");
  ParameterStore& parameters = model_.parameters();
  const std::vector<double> factors = regularizer_factors(data, step);
  const std::int64_t losses = std::ssize(data.micro_batches) * terms_;
  const std::int64_t count = losses + std::ssize(parameters.owned());
  // A step of fewer micro-batches, the last of a run, is no reason to move what a recording writes to.
  Tensor numbers = numbers_;
  if (!numbers.defined() || numbers.numel() != count) {
    numbers = Tensor::empty({count}, Dtype::kF64, parameters.device());
    numbers_ = numbers_.defined() ? numbers_ : numbers;
  }
  seeds_.select(0, 0).fill(1.0 / weight);
  for (std::size_t i = 0; i < factors.size(); ++i) {
    seeds_.select(0, 1 + static_cast<int>(i)).fill(factors[i]);
    shares_.select(0, static_cast<int>(i)).fill(factors[i] * weight);
  }
  if (Reparam* reparam = model_.reparam()) {
    const DeviceRange range(parameters.device(), "reparam");
    reparam->begin_step(step);
  }
  const auto work = [&](const std::vector<Batch>& micro_batches) {
    compute(micro_batches, step, numbers, entropy, watch);
  };
  asks_more ? program_.run_once(data.micro_batches, work) : program_.run(data.micro_batches, work);
  if (meanwhile) {
    meanwhile();
  }
  numbers = numbers.to(kCpu);
  StepOutcome outcome;
  read_losses(numbers.slice(0, 0, losses).reshape({std::ssize(data.micro_batches), terms_}), weight,
              factors, outcome);
  const Tensor squares = numbers.slice(0, losses, count);
  outcome.gradient_squares = as_vector(squares);
  outcome.grad_norm = norm_of(squares, "gradient norm");
  outcome.finite = std::isfinite(outcome.loss) && std::isfinite(outcome.grad_norm) &&
                   std::all_of(outcome.aux_losses.begin(), outcome.aux_losses.end(),
                               [](const auto& aux) { return std::isfinite(aux.second); });
  outcome.updated = outcome.finite && (!accepts || accepts(outcome));
  if (outcome.updated) {
    const double clip = options_.clip_norm.value_or(0.0);
    const double scale = clip > 0 && outcome.grad_norm > clip ? clip / outcome.grad_norm : 1.0;
    const DeviceRange range(parameters.device(), "optimizer");
    const Tensor change = optimizer_.step({.lr = lr, .gradient_scale = scale, .step = step});
    if (reducer_.shared()) {
      gather_parameters(parameters, communicator_, reducer_.buckets());
    }
    qk_clip_.apply(entropy, communicator_);
    const Tensor changes = change.to(kCpu);
    outcome.update_squares = as_vector(changes);
    outcome.update_norm = norm_of(changes, "update norm");
  }
  return outcome;
}

std::vector<double> TrainStep::regularizer_factors(const LoadedStep& data, std::int64_t step) {
  std::vector<double> factors;
  for (const Regularizer* regularizer : regularizers_) {
    double count = 0;
    for (const Batch& batch : data.micro_batches) {
      count += regularizer->count(batch);
    }
    count = communicator_.all_reduce(count, ReduceOp::kSum, "regularizer count");
    const double weight = regularizer->weight(step, options_.steps);
    // Nothing counted: the sums are zero as well.
    factors.push_back(regularizer->averages() ? weight / std::max(count, 1.0) : weight);
  }
  return factors;
}

void TrainStep::read_losses(const Tensor& losses_NL,
                            double weight,
                            const std::vector<double>& factors,
                            StepOutcome& outcome) {
  const auto sum = [&](std::int64_t term, std::string_view what) {
    double total = 0;
    for (std::int64_t i = 0; i < losses_NL.size(0); ++i) {
      total += losses_NL.data<double>()[i * losses_NL.size(1) + term];
    }
    return communicator_.all_reduce(total, ReduceOp::kSum, what);
  };
  outcome.loss = sum(0, "loss") / weight;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    outcome.aux_losses.emplace_back(
        regularizers_[i]->name(),
        factors[i] * sum(1 + static_cast<std::int64_t>(i), "regularizer sum"));
  }
  if (regularizes_head_) {
    outcome.lse_mean = sum(terms_ - 2, "log-sum-exp") / weight;
    double largest = -std::numeric_limits<double>::infinity();
    for (std::int64_t i = 0; i < losses_NL.size(0); ++i) {
      largest = std::max(largest, losses_NL.data<double>()[(i + 1) * terms_ - 1]);
    }
    outcome.lse_max = communicator_.all_reduce(largest, ReduceOp::kMax, "largest log-sum-exp");
  }
}

void TrainStep::compute(const std::vector<Batch>& micro_batches,
                        std::int64_t step,
                        Tensor& numbers,
                        EntropyTotals& entropy,
                        const StepWatch& watch) {
  ParameterStore& parameters = model_.parameters();
  parameters.begin_step();
  const std::int64_t batches = std::ssize(micro_batches);
  for (std::int64_t i = 0; i < batches; ++i) {
    forward_backward(micro_batches[static_cast<std::size_t>(i)], step, i + 1 == batches,
                     numbers.slice(0, i * terms_, (i + 1) * terms_), entropy, watch);
  }
  if (micro_batches.empty()) {
    reducer_.start(nullptr);
  }
  reducer_.finish();
  if (Reparam* reparam = model_.reparam()) {
    reparam->finish_gradients(sum_over_ranks());
  }
  for (std::int64_t i = 0; i < std::ssize(parameters.owned()); ++i) {
    const FlatRange& owned = parameters.owned()[static_cast<std::size_t>(i)];
    numbers.select(0, batches * terms_ + i)
        .copy_from(ops::sum_of_squares(parameters.gradients().slice(0, owned.begin, owned.end)));
  }
}

// Where ranks share the gradients; by way of the host: a few numbers, and no step of several ranks is recorded.
SumOverRanks TrainStep::sum_over_ranks() {
  if (!reducer_.shared()) {
    return {};
  }
  return [this](Tensor& values) {
    Tensor host = values.to(kCpu);
    communicator_.all_reduce(host, ReduceOp::kSum, "reparam");
    if (host.raw() != values.raw()) {
      values.copy_from(host);
    }
  };
}

void TrainStep::forward_backward(const Batch& batch,
                                 std::int64_t step,
                                 bool last,
                                 const Tensor& losses,
                                 EntropyTotals& entropy,
                                 const StepWatch& watch) {
  Tape tape;
  const ParameterStore::Bind bind(model_.parameters(), &tape);
  const Device device = model_.parameters().device();
  const ForwardLoss forward = [&] {
    const DeviceRange range(device, "forward");
    Telemetry telemetry(watch.telemetry);
    ForwardLoss made = model_.forward_loss(batch, {.phase = Phase::kTrain,
                                                   .seed = options_.seed,
                                                   .step = narrow<std::uint32_t>(step),
                                                   .recompute = options_.recompute,
                                                   .telemetry = &telemetry,
                                                   .regularizer_shares = shares_});
    CLS_CHECK(made.regularizer_sums.size() == regularizers_.size(), InternalError,
              "the model gave ", made.regularizer_sums.size(), " sums for ", regularizers_.size(),
              " regularizers");
    losses.select(0, 0).copy_from(made.loss_sum.value());
    for (std::size_t i = 0; i < regularizers_.size(); ++i) {
      losses.select(0, 1 + static_cast<std::int64_t>(i))
          .copy_from(made.regularizer_sums[i].value());
    }
    if (regularizes_head_) {
      losses.slice(0, terms_ - 2, terms_).copy_from(made.log_sum_exp);
    }
    const Tensor lengths = ops::row_lengths(batch.targets_BT);
    entropy.add(telemetry, lengths);
    if (watch.activations != nullptr) {
      watch.activations->add(telemetry, lengths);
    }
    return made;
  }();
  if (options_.trace) {
    backward_times_.begin = Moment(device);
  }
  const DeviceRange range(device, "backward");
  const std::vector<Tape::Seed> seeds = seeds_of(forward, seeds_);
  if (last) {
    reducer_.start(&tape);
    tape.backward(seeds, [this](Parameter& parameter) { reducer_.ready(parameter); });
  } else {
    tape.backward(seeds);
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
