// SPDX-License-Identifier: Apache-2.0
// QK-clip in steps: what the same batch gives afterwards, from which maxima, on which layers, and what is kept of it.
#include "train/qk_clip.h"

#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/op_case.h"
#include "tests/train/recipe_stepper.h"

namespace clausius::test {
namespace {

// Updates that change nothing in f64 leave the clip alone to look at.
const std::string kStandStill = "{kind: sgd, lr: 1.0e-300, momentum: 0.0}";

StepperKeys one_layer(const std::string& mixer, const std::string& more = "") {
  return {.model = "layers: 1\n  init: {kind: normal, std: 0.7}\n  mixer: {kind: softmax, " +
                   mixer + "}" + more,
          .optimizer = kStandStill};
}

std::vector<double> largest_logits(RecipeStepper& run,
                                   const LoadedStep& data,
                                   std::size_t layer = 0) {
  EntropyTotals totals(run.model->heads_per_layer());
  const NoGrad no_grad(run.parameters());
  for (const Batch& batch : data.micro_batches) {
    Telemetry telemetry;
    (void)run.model->forward_loss(batch, {.phase = Phase::kEvaluate, .telemetry = &telemetry});
    totals.add(telemetry);
  }
  std::vector<double> logits;
  const EntropyReport report = totals.report();
  for (const HeadEntropy& head : report.at(layer)) {
    logits.push_back(head.max_logit);
  }
  return logits;
}

void stir_biases(RecipeStepper& run) {
  for (Parameter& parameter : run.parameters().parameters()) {
    if (parameter.role() == Role::kBias) {
      for (std::int64_t i = 0; i < parameter.numel(); ++i) {
        parameter.master().data<double>()[i] = std::sin(1.0 + static_cast<double>(i));
      }
    }
  }
}

// Rope, biases, temperatures, a soft-cap and a sink between them; each head a key head of its own, and both sharing one.
TEST(QkClip, TheSameBatchHasNoLogitAboveTheThresholdAfterwards) {
  const LoadedStep data = tiny_step({2, 1});
  for (const char* keys : {"bias: true", "bias: [q, k], num_kv_heads: 1", "num_kv_heads: 1",
                           "temperature: per_head, logit_softcap: 3.0, sink: learned, bias: [k]"}) {
    const std::vector<double> before = [&] {
      RecipeStepper plain(one_layer(keys));
      stir_biases(plain);
      return largest_logits(plain, data);
    }();
    ASSERT_NE(before[0], before[1]);
    const std::size_t high = before[0] > before[1] ? 0 : 1;
    // Between both: one head is clipped, the other keeps its logits.
    const double threshold = 0.5 * (std::max(before[1 - high], 0.0) + before[high]);
    RecipeStepper run(one_layer(fmt::format("{}, qk_clip: {{threshold: {}}}", keys, threshold)));
    stir_biases(run);
    (void)run.take(data);
    const std::vector<double> after = largest_logits(run, data);
    EXPECT_NEAR(after[high], threshold, 1e-12 * threshold) << keys;
    EXPECT_NEAR(after[1 - high], before[1 - high], 1e-12 * std::abs(before[high])) << keys;
    HeadTable clips = run.step.qk_clip().clips();
    EXPECT_EQ(clips[0][high], 1.0);
    EXPECT_EQ(clips[0][1 - high], 0.0);
  }
}

TEST(QkClip, NothingAboveTheThresholdChangesNoBit) {
  const LoadedStep data = tiny_step({2, 1});
  StepperKeys with = one_layer("qk_clip: {}");
  StepperKeys without = one_layer("bias: false");
  with.optimizer = without.optimizer = "{kind: adamw, lr: 0.01}";
  RecipeStepper clipped(with);
  RecipeStepper plain(without);
  for (int number = 1; number <= 3; ++number) {
    (void)clipped.take(data, number);
    (void)plain.take(data, number);
  }
  expect_bits_equal(clipped.weights(), plain.weights(), "weights");
}

// What an earlier step saw is forgotten.
TEST(QkClip, AStaleMaximumClipsNothing) {
  const LoadedStep data = tiny_step({2});
  const double largest = [&] {
    RecipeStepper plain(one_layer("bias: false"));
    const std::vector<double> logits = largest_logits(plain, data);
    return std::min(logits[0], logits[1]);
  }();
  RecipeStepper run(one_layer(concat("qk_clip: {threshold: ", 0.5 * largest, "}")));
  (void)run.take(data, 1);
  EXPECT_THAT(run.step.qk_clip().clips()[0], ::testing::ElementsAre(1.0, 1.0));
  Tensor qkv = run.parameter("blocks.0.mixer.qkv.weight").master();
  for (double& value : qkv.span<double>()) {
    value *= 0.5;
  }
  const Tensor before = run.weights();
  (void)run.take(data, 2);
  EXPECT_THAT(run.step.qk_clip().clips()[0], ::testing::ElementsAre(1.0, 1.0));
  expect_bits_equal(run.weights(), before, "weights");
}

TEST(QkClip, TheMaximumIsThatOfAllMicroBatches) {
  const StepperKeys keys = one_layer("qk_clip: {threshold: 1.0e-2}");
  RecipeStepper whole(keys);
  (void)whole.take(tiny_step({6}));
  for (const std::vector<std::int64_t>& sizes :
       std::vector<std::vector<std::int64_t>>{{1, 5}, {5, 1}, {1, 1, 1, 1, 1, 1}}) {
    RecipeStepper run(keys);
    (void)run.take(tiny_step(sizes));
    expect_close(run.weights(), whole.weights(), 1e-14, "weights");
  }
}

TEST(QkClip, TheMaximumIsThatOfAllRanks) {
  const LoadedStep data = tiny_step({2});
  RecipeStepper run(one_layer("qk_clip: {threshold: 50.0, balance: 0.25}"));
  const Tensor before = run.parameter("blocks.0.mixer.qkv.weight").master().clone();
  run.ranks.others = {{"largest logits of the step", 200.0}};
  (void)run.take(data);
  const Tensor after = run.parameter("blocks.0.mixer.qkv.weight").master();
  // Rows of 8 queries, 8 keys, 8 values.
  for (std::int64_t i = 0; i < after.numel(); ++i) {
    const double exponent = i < 64 ? 0.25 : i < 128 ? 0.75 : 0.0;
    EXPECT_NEAR(after.data<double>()[i], before.data<double>()[i] * std::pow(0.25, exponent),
                1e-15);
  }
}

TEST(QkClip, TheCopyOfBf16IsThatOfTheClippedWeights) {
  StepperKeys keys = one_layer("bias: true, qk_clip: {threshold: 1.0e-3}");
  keys.precision = "bf16";
  keys.master = Dtype::kF32;
  keys.optimizer = "{kind: adamw, lr: 0.01}";
  RecipeStepper run(keys);
  (void)run.take(tiny_step({3}));
  EXPECT_THAT(run.step.qk_clip().clips()[0], ::testing::ElementsAre(1.0, 1.0));
  const Parameter& weight = run.parameter("blocks.0.mixer.qkv.weight");
  ASSERT_EQ(weight.value().dtype(), Dtype::kBf16);
  expect_bits_equal(weight.value(), weight.master().to(Dtype::kBf16), "copy");
}

TEST(QkClip, AStepThatIsNotFiniteClipsNothing) {
  RecipeStepper run(one_layer("qk_clip: {threshold: 1.0e-3}"));
  run.parameter("final_norm.gain").master().fill(std::nan(""));
  const Tensor before = run.parameter("blocks.0.mixer.qkv.weight").master().clone();
  EXPECT_FALSE(run.take(tiny_step({2})).finite);
  expect_bits_equal(run.parameter("blocks.0.mixer.qkv.weight").master(), before, "weight");
}

TEST(QkClip, ActsOnTheLayersThatAskForIt) {
  StepperKeys keys{.model =
                       "init: {kind: normal, std: 0.7}\n  mixer: [{kind: softmax, qk_clip: "
                       "{threshold: 1.0e-3}}, softmax, {kind: softmax, qk_clip: {}}]\n"
                       "  layers: 3",
                   .optimizer = kStandStill};
  RecipeStepper run(keys);
  EXPECT_EQ(run.step.qk_clip().description(), "qk_clip acts on layers 0, 2; not on 1");
  (void)run.take(tiny_step({2}));
  const HeadTable clips = run.step.qk_clip().clips();
  EXPECT_THAT(clips[0], ::testing::ElementsAre(1.0, 1.0));
  EXPECT_TRUE(clips[1].empty());
  EXPECT_THAT(clips[2], ::testing::ElementsAre(0.0, 0.0));
  RecipeStepper again(keys);
  again.step.qk_clip().restore(run.step.qk_clip().state());
  EXPECT_EQ(again.step.qk_clip().clips(), clips);
  EXPECT_THROW(again.step.qk_clip().restore("[[1]]"), DataError);
  RecipeStepper none({});
  EXPECT_FALSE(none.step.qk_clip().active());
  EXPECT_EQ(none.step.qk_clip().description(), "");
}

TEST(QkClip, RefusesReparametrisedProjections) {
  for (const char* kind : {"sigma", "spectral_norm", "weight_norm"}) {
    const auto with = [&](const std::string& parts) {
      return one_layer("qk_clip: {}", concat("\n  linear: {reparam: {kind: ", kind, parts, "}}"));
    };
    for (const char* parts : {"", ", apply_to: [q]", ", apply_to: [k, v]"}) {
      try {
        (void)parse_stepper_recipe(with(parts));
        ADD_FAILURE() << kind << parts;
      } catch (const ConfigError& error) {
        EXPECT_THAT(error.what(), ::testing::HasSubstr("qk_clip scales the weights of q and k"));
      }
    }
    (void)parse_stepper_recipe(with(", apply_to: [v, out, feed_forward]"));
  }
}

TEST(QkClip, RefusesWhatIsFrozen) {
  StepperKeys keys = one_layer("qk_clip: {}");
  keys.optimizer = "{kind: sgd, lr: 0.1, groups: [{match: '*.qkv.*', frozen: true}]}";
  try {
    RecipeStepper run(keys);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("blocks.0.mixer.qkv.weight: qk_clip scales what "
                                                   "optimizer.groups freezes"));
  }
}

}  // namespace
}  // namespace clausius::test
