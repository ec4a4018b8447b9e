// SPDX-License-Identifier: Apache-2.0
// The architectures of entropy-guided attention as recipes: each is built, steps, and has the parts that its name says.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/paths.h"
#include "tests/train/recipe_stepper.h"
#include "train/plan.h"

namespace clausius::test {
namespace {

struct Architecture {
  std::string name;
  std::string model;
  int norms = 0;  // two a block and one at the end, in two layers
  int feed_forward_matrices = 0;
  std::string regularizers = "{}";
};
void PrintTo(const Architecture& architecture, std::ostream* out) {  // NOLINT: GoogleTest's name
  *out << architecture.name;
}

// GPT-2's positions; q and k with biases, v, out and the feed-forward without, as the released model.
std::string text(const std::string& norm,
                 const std::string& feed_forward,
                 const std::string& mixer = "{kind: softmax, bias: [q, k]}") {
  return "norm: " + norm + "\n  feed_forward: " + feed_forward + "\n  mixer: " + mixer +
         "\n  position: learned";
}

std::vector<Architecture> architectures() {
  const auto mlp = [](const std::string& activation) {
    return "{kind: mlp, activation: " + activation + "}";
  };
  const std::string fused = "{kind: linear, scale: learned}";
  const std::string tempered =
      "{kind: softmax, bias: [q, k], temperature: {kind: per_head_position, init: 0.1}}";
  const std::string raw =
      "{kind: softmax, bias: [q, k], temperature: {kind: per_head_position, init: 0.1, "
      "parametrization: raw}}";
  const std::string regularized = "{entropy: {weight: 0.16, tolerance: 0.2}}";
  return {
      {"SM_LN_G", text("layer_norm", mlp("gelu")), 5, 4},
      {"SM_LN_R", text("layer_norm", mlp("relu")), 5, 4},
      {"SM_LN", text("layer_norm", mlp("identity")), 5, 4},
      {"SM_G", text("none", mlp("gelu")), 0, 4},
      {"SM_R", text("none", mlp("relu")), 0, 4},
      {"SM", text("none", mlp("identity")), 0, 4},
      {"SM_with_final_norm", text("none", mlp("identity")) + "\n  final_norm: layer_norm", 1, 4},
      {"SM_LN_without_final_norm", text("layer_norm", mlp("gelu")) + "\n  final_norm: none", 4, 4},
      {"SM_leaky", text("none", mlp("{kind: leaky_relu, learn_slope: global}")), 0, 4},
      {"SM_ScFFN", text("none", "{kind: mlp, activation: identity, scale: learned}"), 0, 4},
      {"SM_ScFuFFN", text("none", fused), 0, 2},
      {"SM_ScFuFFN_i1",
       text("none", "[{kind: linear, scale: learned, repeat: rest}, {kind: none, repeat: 1}]"), 0,
       1},
      {"SMt_ScFuFFN", text("none", fused, tempered), 0, 2},
      {"SMt_raw_ScFuFFN", text("none", fused, raw), 0, 2},
      {"EReg_SMt_ScFuFFN", text("none", fused, tempered), 0, 2, regularized},
  };
}

class ArchitectureOf : public ::testing::TestWithParam<Architecture> {};
INSTANTIATE_TEST_SUITE_P(Architectures,
                         ArchitectureOf,
                         ::testing::ValuesIn(architectures()),
                         [](const auto& one) { return one.param.name; });

TEST_P(ArchitectureOf, HasItsPartsAndSteps) {
  const Architecture& architecture = GetParam();
  for (const char* precision : {"f32", "bf16"}) {
    RecipeStepper run({.model = architecture.model,
                       .regularizers = architecture.regularizers,
                       .optimizer = "{kind: adamw, lr: 1.0e-3}",
                       .precision = precision,
                       .master = Dtype::kF32});
    int norms = 0;
    int matrices = 0;
    for (const Parameter& parameter : run.parameters().parameters()) {
      const std::string& path = parameter.path();
      norms += path.ends_with("norm.gain") ? 1 : 0;
      matrices +=
          path.find(".feed_forward.") != std::string::npos && path.ends_with(".weight") ? 1 : 0;
      EXPECT_EQ(path.ends_with(".bias") && path.find("norm") == std::string::npos,
                path.ends_with(".q.bias") || path.ends_with(".k.bias"))
          << path;
    }
    EXPECT_EQ(norms, architecture.norms);
    EXPECT_EQ(matrices, architecture.feed_forward_matrices);
    for (int number = 1; number <= 2; ++number) {
      const StepOutcome outcome = run.take(tiny_step({2, 1}), number);
      EXPECT_TRUE(outcome.finite);
      EXPECT_GT(outcome.update_norm, 0.0);
      EXPECT_EQ(outcome.aux_losses.size(), architecture.regularizers == "{}" ? 0U : 1U);
    }
  }
}

// Attention of a model without norms starts nearly uniform at t = 1, and is not at t = 0.01.
TEST(Architecture, ASmallTemperatureSharpensTinyLogits) {
  const auto entropy = [](const std::string& init) {
    RecipeStepper run(
        {.model =
             text("none", "{kind: linear, scale: learned}",
                  "{kind: softmax, temperature: {kind: per_head_position, init: " + init + "}}") +
             "\n  init: {kind: normal, std: 0.2}"});
    (void)run.take(tiny_step({3}));
    const EntropyReport report = run.entropy.report();
    return report[1][0].entropy_normalized;
  };
  EXPECT_GT(entropy("1.0"), 0.99);
  EXPECT_LT(entropy("0.01"), 0.9);
}

TEST(Architecture, ARawTemperatureBelowZeroEndsTheRunWithLayerAndHead) {
  RecipeStepper run({.model = text("none", "{kind: linear, scale: learned}",
                                   "{kind: softmax, temperature: {kind: per_head_position, init: "
                                   "0.01, parametrization: raw}}") +
                              "\n  init: {kind: normal, std: 0.5}",
                     .optimizer = "{kind: adamw, lr: 1.0}"});
  try {
    for (int number = 1; number <= 4; ++number) {
      (void)run.take(tiny_step({3}), number);
    }
    FAIL() << "no temperature fell below 0";
  } catch (const GuardError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("layer 0, head "));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("the raw temperature is "));
  }
}

TEST(Architecture, ADivisorThatReachesZeroEndsTheRunWithItsLayer) {
  RecipeStepper run({.model = "feed_forward: {kind: linear, scale: {kind: learned, "
                              "parametrization: divisor, alpha_init: 2.0e-3}}",
                     .optimizer = "{kind: adamw, lr: 1.9e-3}"});
  try {
    for (int number = 1; number <= 4; ++number) {
      (void)run.take(tiny_step({3}), 1);
    }
    FAIL() << "no divisor fell below its limit";
  } catch (const GuardError& error) {
    EXPECT_THAT(error.what(), ::testing::ContainsRegex("layer [01]: feed_forward.scale divides"));
  }
}

// The page's counts: 14.5 and 1.8 billion for the feed-forwards of GPT-2 small on 128 tokens.
TEST(Architecture, FusionTakesAnEighthOfTheArithmetic) {
  const auto products = [](const std::string& feed_forward) {
    const Recipe recipe =
        load_recipe(source_dir() / "recipes" / "gpt2_124m.yaml",
                    {"model.feed_forward=" + feed_forward, "data.context_length=128",
                     "train.batch_tokens=128", "train.micro_batch=1"});
    return make_training_plan(recipe, 1, 1).matmul_flops / 3.0;  // of a forward pass
  };
  const double none = products("none");
  const double two = products("{kind: mlp, activation: identity}") - none;
  const double fused = products("{kind: linear, scale: learned}") - none;
  EXPECT_NEAR(two, 12.0 * 2.0 * 2.0 * 768 * 3072 * 128, 1.0);
  EXPECT_NEAR(fused, 12.0 * 2.0 * 768 * 768 * 128, 1.0);
  EXPECT_NEAR(two * 1e-9, 14.5, 0.05);
  EXPECT_NEAR(fused * 1e-9, 1.8, 0.05);
}

}  // namespace
}  // namespace clausius::test
