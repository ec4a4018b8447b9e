// SPDX-License-Identifier: Apache-2.0
// One optimizer step: the same whatever the split into micro-batches and ranks; clipping; what is not finite.
#include "train/train_step.h"

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
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
  std::vector<std::string> regularizers{};
  std::int64_t steps = 5;

  [[nodiscard]] std::vector<Choice<Regularizer>> chosen() const {
    std::vector<Choice<Regularizer>> all;
    for (const std::string& text : regularizers) {
      all.push_back(test::choice_of<Regularizer>(text));
    }
    return all;
  }
};

// A model and everything a step needs.
struct Stepper {
  explicit Stepper(Dtype dtype, const Settings& settings = {})
      : model(test::make_tiny_model(dtype, kCpu, 1, settings.chosen())),
        optimizer(test::choice_of<Optimizer>(settings.optimizer).make(model->parameters())),
        reducer(model->parameters(), ranks, make_buckets(model->parameters(), 1024, 1), false),
        step(*model,
             *optimizer,
             reducer,
             ranks,
             {.steps = settings.steps,
              .clip_norm = settings.clip_norm,
              .recompute = settings.recompute}),
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

// Thresholds at half of ln 7 and a tolerance that keeps ln 1 .. ln 7 away from the borders.
const std::vector<std::string>& entropy_reductions() {
  static const std::vector<std::string> all = {
      "{kind: entropy, weight: 0.5, tolerance: 0.1}",
      "{kind: entropy, weight: 0.02, tolerance: 0.1, reduction: sum}",
      "{kind: entropy, weight: 0.5, tolerance: 0.1, reduction: head_mean, skip_rows: 1}",
      "{kind: entropy, weight: 0.5, tolerance: 0.1, maximum: causal, learn_threshold: false}",
      "{kind: entropy, weight: 0.5, tolerance: 0.1, anneal: cosine}"};
  return all;
}

TEST(TrainStepRegularizers, AnySplitIntoMicroBatchesIsTheSameStrength) {
  for (const std::string& text : entropy_reductions()) {
    Stepper whole(Dtype::kF64, {.regularizers = {text}});
    std::vector<StepOutcome> wanted;
    for (int number = 1; number <= 5; ++number) {
      wanted.push_back(whole.take(test::tiny_step(splits()[0]), number));
      ASSERT_EQ(wanted.back().aux_losses.size(), 1U);
      EXPECT_EQ(wanted.back().aux_losses[0].first, "entropy");
    }
    EXPECT_GT(wanted[0].aux_losses[0].second, 1e-3) << text;
    for (const std::vector<std::int64_t>& sizes : splits()) {
      for (const Recompute recompute : {Recompute::kNone, Recompute::kBlock}) {
        Stepper run(Dtype::kF64, {.recompute = recompute, .regularizers = {text}});
        for (int number = 1; number <= 5; ++number) {
          const StepOutcome got = run.take(test::tiny_step(sizes), number);
          const StepOutcome& want = wanted[static_cast<std::size_t>(number - 1)];
          EXPECT_NEAR(got.loss, want.loss, 1e-12 * want.loss) << text;
          EXPECT_NEAR(got.aux_losses[0].second, want.aux_losses[0].second, 1e-12) << text;
          EXPECT_NEAR(got.grad_norm, want.grad_norm, 1e-12 * want.grad_norm) << text;
        }
        test::expect_close(run.weights(), whole.weights(), 1e-12, text);
      }
    }
  }
}

TEST(TrainStepRegularizers, RecomputationGivesTheSameBits) {
  for (const std::string& text : entropy_reductions()) {
    Stepper plain(Dtype::kF32, {.regularizers = {text}});
    Stepper again(Dtype::kF32, {.recompute = Recompute::kBlock, .regularizers = {text}});
    for (int number = 1; number <= 2; ++number) {
      const StepOutcome want = plain.take(test::tiny_step({2, 1}), number);
      const StepOutcome got = again.take(test::tiny_step({2, 1}), number);
      EXPECT_EQ(got.aux_losses, want.aux_losses);
      test::expect_bits_equal(again.model->parameters().gradients(),
                              plain.model->parameters().gradients(), text);
    }
  }
}

// A rank as large whose sums are zero halves a mean, and leaves a sum alone.
TEST(TrainStepRegularizers, OtherRanksCount) {
  const LoadedStep data = test::tiny_step({2, 1});
  for (const auto& [text, count, share] :
       {std::tuple(entropy_reductions()[0], 3.0 * test::kTinyLength, 0.5),
        std::tuple(entropy_reductions()[1], 100.0, 1.0),
        std::tuple(entropy_reductions()[2], 3.0, 0.5)}) {
    Stepper alone(Dtype::kF64, {.regularizers = {text}});
    Stepper run(Dtype::kF64, {.regularizers = {text}});
    run.ranks.others = {{"regularizer count", count}};
    const double single = alone.take(data).aux_losses[0].second;
    EXPECT_NEAR(run.take(data).aux_losses[0].second, share * single, 1e-14) << text;
  }
}

TEST(TrainStepRegularizers, LossIsTheObjectiveAlone) {
  const LoadedStep data = test::tiny_step({2, 1});
  const double plain = Stepper(Dtype::kF64).take(data).loss;
  EXPECT_EQ(Stepper(Dtype::kF64, {.regularizers = {entropy_reductions()[0]}}).take(data).loss,
            plain);
}

// Beyond the widest deviation nothing is left of the term, in value or in gradient.
TEST(TrainStepRegularizers, AWideToleranceChangesNothing) {
  Stepper plain(Dtype::kF32);
  Stepper run(Dtype::kF32, {.regularizers = {"{kind: entropy, weight: 9, tolerance: 0.99}"}});
  for (int number = 1; number <= 3; ++number) {
    const StepOutcome want = plain.take(test::tiny_step({2, 1}), number);
    const StepOutcome got = run.take(test::tiny_step({2, 1}), number);
    EXPECT_EQ(got.aux_losses[0].second, 0.0);
    EXPECT_EQ(got.loss, want.loss);
    EXPECT_EQ(got.grad_norm, want.grad_norm);
  }
}

TEST(TrainStepRegularizers, AnnealedWeightsEndAtZero) {
  for (const char* anneal : {"linear", "cosine"}) {
    Stepper run(
        Dtype::kF64,
        {.regularizers = {std::string("{kind: entropy, anneal: ") + anneal + "}"}, .steps = 2});
    EXPECT_GT(run.take(test::tiny_step({2}), 1).aux_losses[0].second, 0.0);
    EXPECT_EQ(run.take(test::tiny_step({2}), 2).aux_losses[0].second, 0.0);
  }
}

TEST(TrainStepRegularizers, EvaluationLeavesThemOut) {
  Stepper run(Dtype::kF64, {.regularizers = {entropy_reductions()[0]}});
  const Batch batch = test::tiny_batch(0, 2);
  EXPECT_EQ(run.model->forward_loss(batch, {.phase = Phase::kTrain}).regularizer_sums.size(), 1U);
  EXPECT_TRUE(run.model->forward_loss(batch, {.phase = Phase::kEvaluate}).regularizer_sums.empty());
}

}  // namespace
}  // namespace clausius
