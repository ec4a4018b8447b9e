// SPDX-License-Identifier: Apache-2.0
// The knobs of the softmax mixer as recipes write them: accepted, refused by name, and a fixed point once resolved.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/recipe.h"

namespace clausius {
namespace {

std::string recipe_with(const std::string& mixer, const std::string& model = "") {
  return "data: {kind: text, train: a.txt, context_length: 64}\n"
         "model:\n"
         "  {kind: decoder_lm, layers: 2, model_dim: 32, num_heads: 4" +
         model + ", mixer:\n{kind: softmax, " + mixer +
         "}}\n"
         "optimizer: {kind: adamw, lr: 1.0e-3}\n"
         "train: {steps: 10, batch_tokens: 256}\n";
}

std::string answer_to(const std::string& text) {
  try {
    const Recipe recipe = parse_recipe(text, "r.yaml", "/recipes");
    const std::string once = to_yaml(recipe);
    EXPECT_EQ(to_yaml(parse_recipe(once, "r.yaml", "/recipes")), once) << text;
    return recipe.warnings.empty() ? "accepted" : recipe.warnings.front();
  } catch (const ConfigError& error) {
    return error.what();
  }
}

TEST(AttentionRecipe, AcceptsEveryKnob) {
  for (const char* mixer : {
           "logit_softcap: 50, sink: learned",
           "logit_softcap: null, sink: none, temperature: none",
           "temperature: per_head",
           "qk_norm: rms_norm",
           "output_gate: silu",
           "output_gate: linear",
           "output_gate: sigmoid",
           "output_gate: {kind: sigmoid_low_rank, rank: 4}, sink: learned, qk_norm: rms_norm",
           "qk_norm: {kind: l2_norm, eps: 1.0e-5}, softmax_scale: 2.0",
           "temperature: {kind: per_head_position, init: 0.1, parametrization: raw}",
           "qk_clip: {}",
           "qk_clip: null, qk_norm: rms_norm",
           "qk_clip: {threshold: 30, balance: 1}, logit_softcap: 50, sink: learned",
           "bias: [q, k]",
           "bias: [v, out], output_norm: layer_norm",
           "output_norm: {kind: rms_norm, eps: 1.0e-6}, output_gate: silu",
           "output_norm: simple_rms_norm",
       }) {
    EXPECT_EQ(answer_to(recipe_with(mixer)), "accepted") << mixer;
  }
}

TEST(AttentionRecipe, RefusesInWords) {
  const std::string place = "r.yaml:4:17: key 'model.mixer.";
  const std::vector<std::pair<std::string, std::string>> table = {
      {"logit_softcap: 0", "logit_softcap': 0 is out of range; expected a number > 0"},
      {"sink: fixed", "sink': expected one of none, learned, found 'fixed'"},
      {"logit_softcap: 50, kernel: {engine: cudnn}",
       "logit_softcap': engine cudnn is not asked for it; use null, or engine auto"},
      {"sink: learned, kernel: {engine: cudnn}",
       "sink': engine cudnn is not asked for it; use none, or engine auto"},
      {"qk_norm: l2_norm, kernel: {engine: cudnn}",
       "qk_norm': engine cudnn takes one scale for all heads, and l2_norm learns one for each; use "
       "rms_norm or none, or engine auto"},
      {"qk_clip: {}, qk_norm: rms_norm",
       "qk_clip': qk_norm takes out again what is clipped; use one of them"},
      {"qk_clip: {}, qk_norm: l2_norm",
       "qk_clip': qk_norm takes out again what is clipped; use one of them"},
      {"qk_clip: {}, kernel: {engine: cudnn}",
       "qk_clip': engine cudnn reports no scores to clip by; use null, or engine auto"},
      {"output_norm: rmsnorm",
       "output_norm': unknown kind 'rmsnorm'; did you mean 'rms_norm'? accepted: none, rms_norm, "
       "layer_norm, simple_rms_norm"},
      {"output_gate: tanh",
       "output_gate': unknown kind 'tanh'; accepted: none, linear, silu, sigmoid, "
       "sigmoid_low_rank"},
      {"qk_norm: layer_norm",
       "qk_norm': unknown kind 'layer_norm'; accepted: none, rms_norm, "
       "l2_norm"},
      {"temperature: per_head, kernel: {engine: cudnn}",
       "temperature': engine cudnn takes one scale for all heads; use none, or engine auto"},
      {"temperature: per_hed",
       "temperature': unknown kind 'per_hed'; did you mean 'per_head'? accepted: none, per_head, "
       "per_head_position"},
  };
  for (const auto& [mixer, message] : table) {
    EXPECT_EQ(answer_to(recipe_with(mixer)), place + message) << mixer;
  }
}

TEST(AttentionRecipe, RefusesClipsInWords) {
  EXPECT_THAT(
      answer_to(recipe_with("qk_clip: {threshold: 0}")),
      testing::HasSubstr("key 'model.mixer.qk_clip.threshold': 0 is out of range; expected a "
                         "number > 0"));
  EXPECT_THAT(answer_to(recipe_with("qk_clip: {balance: 1.5}")),
              testing::HasSubstr("key 'model.mixer.qk_clip.balance': 1.5 is out of range"));
  EXPECT_THAT(answer_to(recipe_with("qk_clip: {every: 2}")),
              testing::HasSubstr("key 'model.mixer.qk_clip.every': unknown key"));
}

TEST(AttentionRecipe, RefusesTemperaturesInWords) {
  EXPECT_THAT(answer_to(recipe_with("temperature: {kind: per_head, init: 0}")),
              testing::HasSubstr("key 'model.mixer.temperature.init': 0 is out of range"));
  EXPECT_THAT(answer_to(recipe_with("temperature: {kind: per_head, parametrization: log}")),
              testing::HasSubstr("expected one of exp, raw, found 'log'"));
  EXPECT_THAT(answer_to(recipe_with("temperature: per_head_position", ", context_length: 32")),
              testing::HasSubstr("key 'model.context_length': temperatures per position end at 32, "
                                 "and the data has rows of 64 tokens"));
  EXPECT_EQ(answer_to(recipe_with("temperature: per_head", ", context_length: 32")), "accepted");
}

TEST(AttentionRecipe, TheScaleIsResolvedToWhatTheNormNeeds) {
  const auto resolved = [](const std::string& mixer) {
    return to_yaml(parse_recipe(recipe_with(mixer), "r.yaml", "/recipes"));
  };
  EXPECT_THAT(resolved("qk_norm: l2_norm"), testing::HasSubstr("softmax_scale: 1.0\n"));
  EXPECT_THAT(resolved("qk_norm: rms_norm, head_dim: 4"),
              testing::HasSubstr("softmax_scale: 0.5\n"));
  EXPECT_THAT(answer_to(recipe_with("qk_norm: {kind: rms_norm, eps: 0}")),
              testing::HasSubstr("key 'model.mixer.qk_norm.eps': 0 is out of range"));
}

TEST(AttentionRecipe, TheRankOfAGateIsTheMixersHeadDim) {
  const std::string text = recipe_with("head_dim: 6, output_gate: sigmoid_low_rank");
  EXPECT_THAT(to_yaml(parse_recipe(text, "r.yaml", "/recipes")), testing::HasSubstr("rank: 6\n"));
  EXPECT_EQ(answer_to(text), "accepted");
}

TEST(AttentionRecipe, ATemperatureReplacesTheWarningOfAModelWithoutNorms) {
  EXPECT_THAT(answer_to(recipe_with("temperature: none", ", norm: none")),
              testing::HasSubstr("a model without norms may diverge"));
  EXPECT_EQ(answer_to(recipe_with("temperature: per_head", ", norm: none")), "accepted");
}

}  // namespace
}  // namespace clausius
