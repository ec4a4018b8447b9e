// SPDX-License-Identifier: Apache-2.0
// One optimizer step: the same whatever the split into micro-batches and ranks; clipping; what is not finite.
#include "train/train_step.h"

#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/support/op_case.h"
#include "tests/support/toy_parameters.h"
#include "tests/train/fake_communicator.h"
#include "tests/train/tiny_model.h"
#include "train/buckets.h"

namespace clausius {
namespace {

struct Settings {
  std::string optimizer = "{kind: sgd, lr: 0.5, momentum: 0.0}";
  std::optional<double> clip_norm{};
  Recompute recompute = Recompute::kNone;
};

// A model and everything a step needs.
struct Stepper {
  explicit Stepper(Dtype dtype, const Settings& settings = {})
      : model(test::make_tiny_model(dtype)),
        optimizer(test::choice_of<Optimizer>(settings.optimizer).make(model->parameters())),
        reducer(model->parameters(), ranks, make_buckets(model->parameters(), 1024, 1), false),
        step(*model,
             *optimizer,
             reducer,
             ranks,
             {.clip_norm = settings.clip_norm, .recompute = settings.recompute}),
        entropy(model->heads_per_layer()) {
    set_num_threads(1);
  }
  StepOutcome take(const LoadedStep& data, std::int64_t number = 1) {
    entropy.reset();
    return step.run(data, number, optimizer->peak_lr(), entropy);
  }
  [[nodiscard]] Tensor weights() const { return model->parameters().master().clone(); }

  std::unique_ptr<DecoderLm> model;
  std::unique_ptr<Optimizer> optimizer;
  test::FakeCommunicator ranks;
  GradientReducer reducer;
  TrainStep step;
  EntropyTotals entropy;
};

const std::vector<std::vector<std::int64_t>>& splits() {
  static const std::vector<std::vector<std::int64_t>> all = {
      {6}, {3, 3}, {1, 1, 1, 1, 1, 1}, {1, 5}, {4, 2}};
  return all;
}

TEST(TrainStep, AnySplitIntoMicroBatchesIsTheSameStep) {
  for (const auto& [dtype, limit] : {std::pair(Dtype::kF64, 1e-12), std::pair(Dtype::kF32, 1e-5)}) {
    for (const Recompute recompute : {Recompute::kNone, Recompute::kBlock}) {
      Stepper whole(dtype);
      std::vector<StepOutcome> wanted;
      for (int number = 1; number <= 5; ++number) {
        wanted.push_back(whole.take(test::tiny_step(splits()[0]), number));
      }
      for (const std::vector<std::int64_t>& sizes : splits()) {
        Stepper run(dtype, {.recompute = recompute});
        for (int number = 1; number <= 5; ++number) {
          const StepOutcome got = run.take(test::tiny_step(sizes), number);
          const StepOutcome& want = wanted[static_cast<std::size_t>(number - 1)];
          EXPECT_NEAR(got.loss, want.loss, limit * want.loss) << dtype << ", step " << number;
          EXPECT_NEAR(got.grad_norm, want.grad_norm, limit * want.grad_norm);
          EXPECT_NEAR(got.update_norm, want.update_norm, limit * want.update_norm);
        }
        test::expect_close(run.weights(), whole.weights(), limit, "weights");
        const HeadEntropy got = run.entropy.report()[1][1];
        const HeadEntropy want = whole.entropy.report()[1][1];
        EXPECT_NEAR(got.entropy_nats, want.entropy_nats, limit * want.entropy_nats);
        EXPECT_EQ(got.rows, want.rows);
      }
      EXPECT_LT(wanted.back().loss, wanted.front().loss);
    }
  }
}

// The loss is a mean over targets, not over micro-batches: sizes and ignored targets differ between them.
TEST(TrainStep, LossIsTheMeanOverTargets) {
  Stepper run(Dtype::kF64);
  const LoadedStep data = test::tiny_step({1, 5});
  double sum = 0;
  double targets = 0;
  {
    const NoGrad no_grad(run.model->parameters());
    for (const Batch& batch : data.micro_batches) {
      sum += run.model->forward_loss(batch, {}).loss_sum.value().item();
      targets += batch.weight;
    }
  }
  EXPECT_NE(data.micro_batches[1].weight, 5 * data.micro_batches[0].weight);
  EXPECT_NEAR(run.take(data).loss, sum / targets, 1e-14);
}

TEST(TrainStep, GradientIsClippedByItsGlobalNorm) {
  const LoadedStep data = test::tiny_step({4});
  const double norm = Stepper(Dtype::kF64).take(data).grad_norm;
  const auto update_with = [&](std::optional<double> clip) {
    Stepper run(Dtype::kF64, {.clip_norm = clip});
    const StepOutcome outcome = run.take(data);
    EXPECT_EQ(outcome.grad_norm, norm) << "the norm is that before clipping";
    return outcome.update_norm;
  };
  // Plain SGD moves by lr times the gradient that is left.
  EXPECT_NEAR(update_with(std::nullopt), 0.5 * norm, 1e-14);
  EXPECT_NEAR(update_with(norm * 1.01), 0.5 * norm, 1e-14);
  EXPECT_NEAR(update_with(norm / 3), 0.5 * norm / 3, 1e-14);
  EXPECT_NEAR(update_with(1e-6), 0.5e-6, 1e-18);
}

TEST(TrainStep, FrozenParametersStayAndCountNowhere) {
  const LoadedStep data = test::tiny_step({2, 2});
  Stepper all(Dtype::kF64);
  Stepper some(Dtype::kF64, {.optimizer = "{kind: sgd, lr: 0.5, momentum: 0.0, groups: [{match: "
                                          "blocks.0.*, frozen: true}]}"});
  const Tensor before = some.weights();
  const double full = all.take(data).grad_norm;
  const double part = some.take(data).grad_norm;
  double squares = 0;
  for (Parameter& parameter : all.model->parameters().parameters()) {
    const Tensor gradient = parameter.gradient().clone();
    const bool frozen = parameter.path().starts_with("blocks.0.");
    for (const double value : gradient.span<double>()) {
      squares += frozen ? 0.0 : value * value;
    }
    const Parameter& other = *some.model->parameters().find(parameter.path());
    const Tensor start = before.slice(0, other.offset(), other.offset() + other.numel());
    const Tensor now = other.master().reshape({other.numel()});
    if (frozen) {
      test::expect_bits_equal(now, start, parameter.path());
    } else {
      test::expect_bits_equal(now, parameter.master().reshape({other.numel()}), parameter.path());
    }
  }
  EXPECT_LT(part, full);
  EXPECT_NEAR(part, std::sqrt(squares), 1e-14);
}

TEST(TrainStep, WhatIsNotFiniteUpdatesNothing) {
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Stepper run(Dtype::kF32, {.optimizer = "{kind: adamw, lr: 0.5}"});
    run.model->parameters().find("final_norm.gain")->master().fill(bad);
    const Tensor before = run.weights();
    const StepOutcome outcome = run.take(test::tiny_step({2}));
    EXPECT_FALSE(outcome.finite);
    EXPECT_EQ(outcome.update_norm, 0.0);
    test::expect_bits_equal(run.weights(), before, "weights");
    for (const OptimizerState& state : run.optimizer->state()) {
      test::expect_bits_equal(state.values, Tensor::zeros(before.shape(), Dtype::kF32), state.name);
    }
  }
}

TEST(TrainStep, AStepWithoutTargetsIsAMistakeOfTheData) {
  Stepper run(Dtype::kF32);
  LoadedStep data = test::tiny_step({1});
  data.micro_batches[0].targets_BT.fill(kIgnoredTarget);
  data.weight = 0;
  EXPECT_THROW((void)run.take(data, 7), DataError);
}

// Loss and gradient are divided by the targets of all ranks.
TEST(TrainStep, OtherRanksCount) {
  const LoadedStep data = test::tiny_step({2, 1});
  Stepper alone(Dtype::kF64);
  const StepOutcome single = alone.take(data);
  Stepper run(Dtype::kF64);
  run.ranks.others["loss weight"] =
      data.weight;  // a rank as large that has no loss and no gradient
  const StepOutcome shared = run.take(data);
  EXPECT_NEAR(shared.loss, single.loss / 2, 1e-14);
  EXPECT_NEAR(shared.grad_norm, single.grad_norm / 2, 1e-14);
  Stepper with_loss(Dtype::kF64);
  with_loss.ranks.others = {{"loss weight", data.weight}, {"loss", 100.0}};
  EXPECT_NEAR(with_loss.take(data).loss, single.loss / 2 + 100.0 / (2 * data.weight), 1e-14);
}

// A rank without samples in a last, smaller step takes part in every sum with zeros.
TEST(TrainStep, ARankWithoutSamplesFollows) {
  Stepper run(Dtype::kF64);
  (void)run.take(test::tiny_step({2}));
  run.ranks.others = {{"loss weight", 10.0}, {"loss", 25.0}, {"gradient bucket ", 0.25}};
  run.ranks.calls.clear();
  const Tensor before = run.weights();
  const StepOutcome outcome = run.take(LoadedStep{.samples = 1, .micro_batches = {}}, 2);
  EXPECT_DOUBLE_EQ(outcome.loss, 2.5);
  for (std::size_t i = 0; i < before.span<double>().size(); ++i) {
    ASSERT_NEAR(run.weights().span<double>()[i], before.span<double>()[i] - 0.5 * 0.25, 1e-15);
  }
  EXPECT_EQ(run.ranks.calls.front().what, "loss weight");
  EXPECT_EQ(run.ranks.calls.back().what, "loss");
  EXPECT_EQ(run.ranks.calls.size(), 2 + run.reducer.buckets().size());
}

}  // namespace
}  // namespace clausius
