// SPDX-License-Identifier: Apache-2.0
// The z_loss regularizer in steps: value, gradient, any split into micro-batches and ranks, what it reports.
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/op_case.h"
#include "tests/train/recipe_stepper.h"

namespace clausius::test {
namespace {

// Weights that make log-sum-exps far from ln V.
const std::string kModel = "init: {kind: normal, std: 0.5}";

StepperKeys keys(const std::string& z_loss, const std::string& more = "") {
  return {.model = kModel, .regularizers = "{z_loss: " + z_loss + more + "}"};
}

struct Lse {
  double squares = 0;
  double sum = 0;
  double max = -std::numeric_limits<double>::infinity();
  double targets = 0;
};

// From the logits, by definition.
Lse lse_of(Model& model, const LoadedStep& data) {
  Lse lse;
  for (const Batch& batch : data.micro_batches) {
    const Tensor logits =
        dynamic_cast<LanguageModel&>(model).logits(batch.inputs_BT).to(Dtype::kF64).contiguous();
    const std::int64_t vocabulary = logits.size(2);
    for (std::int64_t n = 0; n < batch.targets_BT.numel(); ++n) {
      if (batch.targets_BT.data<std::int32_t>()[n] == kIgnoredTarget) {
        continue;
      }
      double total = 0;
      for (std::int64_t v = 0; v < vocabulary; ++v) {
        total += std::exp(logits.data<double>()[n * vocabulary + v]);
      }
      lse.squares += std::log(total) * std::log(total);
      lse.sum += std::log(total);
      lse.max = std::max(lse.max, std::log(total));
      lse.targets += 1;
    }
  }
  return lse;
}

TEST(ZLoss, IsTheWeightedMeanOfSquaresAndNeverInTheLoss) {
  const LoadedStep data = tiny_step({2, 1});
  RecipeStepper plain({.model = kModel});
  RecipeStepper run(keys("{weight: 0.03}"));
  const Lse lse = lse_of(*run.model, data);
  const StepOutcome outcome = run.take(data);
  ASSERT_EQ(outcome.aux_losses.size(), 1U);
  EXPECT_EQ(outcome.aux_losses[0].first, "z_loss");
  EXPECT_NEAR(outcome.aux_losses[0].second, 0.03 * lse.squares / lse.targets, 1e-14);
  EXPECT_NEAR(outcome.lse_mean.value(), lse.sum / lse.targets, 1e-13);
  EXPECT_NEAR(outcome.lse_max.value(), lse.max, 1e-13);
  const StepOutcome without = plain.take(data);
  EXPECT_EQ(outcome.loss, without.loss);
  EXPECT_FALSE(without.lse_mean.has_value());
  EXPECT_NE(outcome.grad_norm, without.grad_norm);
}

// The whole optimized value by central differences, in f64, with the entropy regularizer beside it and alone, tied and not.
TEST(ZLoss, GradientIsThatOfTheOptimizedValue) {
  const LoadedStep data = tiny_step({2, 1});
  for (const std::string& more : {std::string(), std::string(", entropy: {tolerance: 0.1}")}) {
    for (const char* tied : {"true", "false"}) {
      StepperKeys all = keys("{weight: 0.2}", more);
      all.model = kModel + "\n  tie_embeddings: " + tied;
      all.optimizer = "{kind: sgd, lr: 1.0e-300, momentum: 0.0}";
      RecipeStepper run(all);
      (void)run.take(data);
      const Tensor gradients = run.parameters().gradients().clone();
      const auto value = [&] {
        const StepOutcome outcome = run.take(data);
        double total = outcome.loss;
        for (const auto& [name, loss] : outcome.aux_losses) {
          total += loss;
        }
        return total;
      };
      for (Parameter& parameter : run.parameters().parameters()) {
        for (std::int64_t i = 0; i < parameter.numel(); i += 1 + parameter.numel() / 3) {
          constexpr double kStep = 1e-5;
          double& element = run.parameters().master().data<double>()[parameter.offset() + i];
          const double saved = element;
          element = saved + kStep;
          const double high = value();
          element = saved - kStep;
          const double low = value();
          element = saved;
          EXPECT_NEAR(gradients.data<double>()[parameter.offset() + i], (high - low) / (2 * kStep),
                      1e-8)
              << parameter.path() << " element " << i << more;
        }
      }
    }
  }
}

TEST(ZLoss, AnySplitIntoMicroBatchesIsTheSameStrength) {
  RecipeStepper whole(keys("{weight: 0.2, anneal: linear}"));
  std::vector<StepOutcome> wanted;
  for (int number = 1; number <= 3; ++number) {
    wanted.push_back(whole.take(tiny_step({6}), number));
  }
  for (const std::vector<std::int64_t>& sizes :
       std::vector<std::vector<std::int64_t>>{{3, 3}, {1, 1, 1, 1, 1, 1}, {1, 5}}) {
    for (const char* recompute : {"none", "block"}) {
      StepperKeys all = keys("{weight: 0.2, anneal: linear}");
      all.recompute = recompute;
      RecipeStepper run(all);
      for (int number = 1; number <= 3; ++number) {
        const StepOutcome got = run.take(tiny_step(sizes), number);
        const StepOutcome& want = wanted[static_cast<std::size_t>(number - 1)];
        EXPECT_NEAR(got.aux_losses[0].second, want.aux_losses[0].second, 1e-12);
        EXPECT_NEAR(got.grad_norm, want.grad_norm, 1e-12 * want.grad_norm);
        EXPECT_NEAR(got.lse_mean.value(), want.lse_mean.value(), 1e-12);
        EXPECT_NEAR(got.lse_max.value(), want.lse_max.value(), 1e-12);
      }
      expect_close(run.weights(), whole.weights(), 1e-12, "weights");
    }
  }
}

// A rank as large that adds nothing halves means; its largest log-sum-exp counts.
TEST(ZLoss, OtherRanksCount) {
  const LoadedStep data = tiny_step({2, 1});
  RecipeStepper alone(keys("{weight: 0.2}"));
  RecipeStepper run(keys("{weight: 0.2}"));
  run.ranks.others = {{"loss weight", data.weight},
                      {"regularizer count", data.weight},
                      {"largest log-sum-exp", 77.0}};
  const StepOutcome single = alone.take(data);
  const StepOutcome shared = run.take(data);
  EXPECT_NEAR(shared.aux_losses[0].second, single.aux_losses[0].second / 2, 1e-14);
  EXPECT_NEAR(shared.grad_norm, single.grad_norm / 2, 1e-14);
  EXPECT_NEAR(shared.lse_mean.value(), single.lse_mean.value() / 2, 1e-14);
  EXPECT_EQ(shared.lse_max.value(), 77.0);
}

TEST(ZLoss, AnnealsToNothingAndCostsNothingWithoutWeight) {
  RecipeStepper run(keys("{weight: 0.2, anneal: cosine}"));
  EXPECT_GT(run.take(tiny_step({2}), 1).aux_losses[0].second, 0.0);
  EXPECT_EQ(run.take(tiny_step({2}), 4).aux_losses[0].second, 0.0);
  for (const char* precision : {"f32", "bf16"}) {
    StepperKeys none{.model = kModel, .precision = precision, .master = Dtype::kF32};
    StepperKeys zero = none;
    zero.regularizers = "{z_loss: {weight: 0.0}}";
    RecipeStepper plain(none);
    RecipeStepper free(zero);
    (void)plain.take(tiny_step({2, 1}));
    (void)free.take(tiny_step({2, 1}));
    expect_bits_equal(free.weights(), plain.weights(), "weights");
  }
}

TEST(ZLoss, Bf16FollowsF32) {
  StepperKeys all = keys("{weight: 0.2}");
  all.master = Dtype::kF32;
  RecipeStepper wide(all);
  all.precision = "bf16";
  RecipeStepper narrow(all);
  const StepOutcome want = wide.take(tiny_step({3}));
  const StepOutcome got = narrow.take(tiny_step({3}));
  const double limit = tolerance(Dtype::kBf16, 8, 40);
  EXPECT_NEAR(got.aux_losses[0].second, want.aux_losses[0].second,
              limit * want.aux_losses[0].second);
  EXPECT_NEAR(got.grad_norm, want.grad_norm, limit * want.grad_norm);
}

// It pulls the log-sum-exp towards 0: the only thing that this gradient does.
TEST(ZLoss, LowersTheLogSumExp) {
  StepperKeys strong = keys("{weight: 1.0}");
  strong.optimizer = "{kind: sgd, lr: 0.01, momentum: 0.0}";
  RecipeStepper run(strong);
  const double before = run.take(tiny_step({4}), 1).lse_mean.value();
  double after = 0;
  for (int number = 1; number <= 4; ++number) {
    after = run.take(tiny_step({4}), 1).lse_mean.value();
  }
  EXPECT_LT(std::abs(after), std::abs(before) - 0.1);
}

TEST(ZLoss, EvaluationLeavesItOut) {
  RecipeStepper run(keys("{weight: 0.2}"));
  const ForwardLoss evaluated =
      run.model->forward_loss(tiny_batch(0, 2), {.phase = Phase::kEvaluate});
  EXPECT_TRUE(evaluated.regularizer_sums.empty());
}

}  // namespace
}  // namespace clausius::test
