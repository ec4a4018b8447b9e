// SPDX-License-Identifier: Apache-2.0
// Every knob of softmax attention beside every other one: two steps each, finite, every parameter with a gradient.
#include <cmath>

#include <gtest/gtest.h>

#include "tests/train/recipe_stepper.h"

namespace clausius::test {
namespace {

struct Knob {
  std::string name;
  std::string mixer = "";
  std::string regularizer = "";
  std::string excludes = "";  // name of the one that recipes refuse beside it
};

std::vector<Knob> knobs() {
  return {
      {"qk_norm", "qk_norm: rms_norm", "", "qk_clip"},
      {"qk_norm", "qk_norm: l2_norm", "", "qk_clip"},
      {"logit_softcap", "logit_softcap: 2.0"},
      {"sink", "sink: learned"},
      {"temperature", "temperature: per_head"},
      {"temperature", "temperature: {kind: per_head_position, init: 0.5}"},
      {"temperature", "temperature: {kind: per_head, parametrization: raw}"},
      {"qk_clip", "qk_clip: {threshold: 0.01}", "", "qk_norm"},
      {"output_norm", "output_norm: rms_norm"},
      {"output_norm", "output_norm: simple_rms_norm"},
      {"output_gate", "output_gate: sigmoid"},
      {"output_gate", "output_gate: {kind: sigmoid_low_rank, rank: 2}"},
      {"dropout", "dropout: 0.2"},
      {"window", "window: 3"},
      {"bias", "bias: [q, k]"},
      {"num_kv_heads", "num_kv_heads: 1"},
      {"entropy", "", "entropy: {tolerance: 0.01, weight: 0.5}"},
      {"z_loss", "", "z_loss: {weight: 0.05}"},
  };
}

std::string joined(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + ", " + b;
}

void expect_two_steps(const Knob& a, const Knob& b, const std::string& precision) {
  const std::string keys = joined(a.mixer, b.mixer);
  const std::string regularizers = joined(a.regularizer, b.regularizer);
  SCOPED_TRACE(joined(keys, regularizers) + ", " + precision);
  RecipeStepper run({.model = "init: {kind: normal, std: 0.4}\n  mixer: {kind: softmax" +
                              (keys.empty() ? "" : ", " + keys) + "}",
                     .regularizers = "{" + regularizers + "}",
                     .optimizer = "{kind: adamw, lr: 1.0e-3}",
                     .precision = precision,
                     .master = Dtype::kF32});
  for (int number = 1; number <= 2; ++number) {
    const StepOutcome outcome = run.take(tiny_step({2, 1}), number);
    EXPECT_TRUE(outcome.finite);
    EXPECT_GT(outcome.grad_norm, 0.0);
    EXPECT_GT(outcome.update_norm, 0.0);
    for (Parameter& parameter : run.parameters().parameters()) {
      double largest = 0;
      const Tensor gradient = parameter.gradient().contiguous();
      for (const float value : gradient.span<float>()) {
        largest = std::max(largest, static_cast<double>(std::abs(value)));
      }
      // A shift of all keys changes no softmax by itself.
      if (!parameter.path().ends_with(".k.bias")) {
        EXPECT_GT(largest, 0.0) << parameter.path() << ", step " << number;
      }
    }
  }
  const bool clips = a.name == "qk_clip" || b.name == "qk_clip";
  EXPECT_EQ(run.step.qk_clip().active(), clips);
  if (clips) {
    EXPECT_GE(run.step.qk_clip().clips()[0][0], 1.0);
  }
}

TEST(KnobPairs, StepTogether) {
  const std::vector<Knob> all = knobs();
  int pairs = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = i + 1; j < all.size(); ++j) {
      if (all[i].name == all[j].name || all[i].excludes == all[j].name) {
        continue;
      }
      ++pairs;
      for (const char* precision : {"f32", "bf16"}) {
        expect_two_steps(all[i], all[j], precision);
      }
    }
  }
  EXPECT_GT(pairs, 130);
}

}  // namespace
}  // namespace clausius::test
