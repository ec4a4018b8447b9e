// SPDX-License-Identifier: Apache-2.0
// linear.reparam as recipes write it: accepted, refused by name, a fixed point once resolved, and counted by plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/plan.h"
#include "train/recipe.h"

namespace clausius {
namespace {

using ::testing::HasSubstr;

std::string recipe_with(const std::string& reparam, const std::string& model = "") {
  return "data: {kind: text, train: a.txt, context_length: 64}\n"
         "model:\n"
         "  {kind: decoder_lm, layers: 2, model_dim: 32, num_heads: 4" +
         model + ", linear: {reparam:\n" + reparam +
         "}}\n"
         "optimizer: {kind: adamw, lr: 1.0e-3}\n"
         "train: {steps: 10, batch_tokens: 256}\n";
}

Recipe read(const std::string& text) {
  return parse_recipe(text, "r.yaml", "/recipes");
}

std::string answer_to(const std::string& text) {
  try {
    const Recipe recipe = read(text);
    const std::string once = to_yaml(recipe);
    EXPECT_EQ(to_yaml(read(once)), once) << text;
    return recipe.warnings.empty() ? "accepted" : recipe.warnings.front();
  } catch (const ConfigError& error) {
    return error.what();
  }
}

TEST(ReparamRecipe, AcceptsEveryKnob) {
  for (const char* reparam : {
           "none",
           "sigma",
           "weight_norm",
           "spectral_norm",
           "{kind: sigma, gamma_init: spectral_norm, qkv_grouping: joint}",
           "{kind: sigma, gamma_init: 0.5, power_iterations: 2, refresh_every: 4}",
           "{kind: sigma, vector_init: svd, grad_through_sigma: false, qkv_grouping: qk_v}",
           "{kind: sigma, apply_to: [q, k], qkv_grouping: qk_v}",
           "{kind: spectral_norm, apply_to: [out, feed_forward], vector_init: random}",
           "{kind: weight_norm, apply_to: all}",
       }) {
    EXPECT_EQ(answer_to(recipe_with(reparam)), "accepted") << reparam;
  }
  EXPECT_EQ(answer_to(recipe_with("{kind: sigma, apply_to: [head]}", ", tie_embeddings: false")),
            "accepted");
  EXPECT_EQ(answer_to(recipe_with("{kind: sigma, apply_to: [gate]}",
                                  ", mixer: {kind: softmax, output_gate: silu}")),
            "accepted");
}

TEST(ReparamRecipe, RefusesInWords) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"{kind: sigma, gamma_init: 0}", "gamma_init': "},
      {"{kind: sigma, power_iterations: 0}", "power_iterations': 0 is out of range"},
      {"{kind: sigma, apply_to: [qkv]}", "expected one of q, k, v, gate, out, feed_forward, head"},
      {"{kind: spectral_norm, gamma_init: 1.0}", "gamma_init"},
      {"{kind: sigma, apply_to: [head]}",
       "apply_to': the head is the embedding, whose rows are also looked up"},
      {"{kind: sigma, apply_to: [gate]}", "apply_to': no mixer of this model has an output gate"},
      {"{kind: sigma, apply_to: [q, k], qkv_grouping: joint}",
       "qkv_grouping': joint takes q, k and v as one matrix"},
      {"{kind: sigma, apply_to: [q, v], qkv_grouping: qk_v}",
       "qkv_grouping': qk_v takes q and k as one matrix"},
      {"sigmma", "did you mean 'sigma'?"},
  };
  for (const auto& [reparam, message] : table) {
    EXPECT_THAT(answer_to(recipe_with(reparam)), HasSubstr(message)) << reparam;
  }
  const std::string clipped = ", mixer: {kind: softmax, qk_clip: {}}";
  EXPECT_THAT(answer_to(recipe_with("sigma", clipped)),
              HasSubstr("qk_clip scales the weights of q and k, which does nothing"));
  EXPECT_EQ(answer_to(recipe_with("{kind: sigma, apply_to: [v, out]}", clipped)), "accepted");
  EXPECT_THAT(
      answer_to(recipe_with("{kind: sigma, apply_to: [feed_forward]}", ", feed_forward: none")),
      HasSubstr("no layer of this model has a feed-forward"));
}

TEST(ReparamRecipe, SigmaReplacesTheWarningOfAModelWithoutNorms) {
  EXPECT_THAT(answer_to(recipe_with("none", ", norm: none")), HasSubstr("may diverge"));
  EXPECT_EQ(answer_to(recipe_with("sigma", ", norm: none")), "accepted");
}

TEST(ReparamRecipe, PlanCountsGainsVectorsAndMadeWeights) {
  const auto plan = [](const std::string& reparam) {
    return make_training_plan(read(recipe_with(reparam)), 1, 1);
  };
  const TrainingPlan plain = plan("none");
  EXPECT_EQ(plain.chosen().reparam, 0);
  // q, k, v, out, gate, up and down in each of two layers.
  const TrainingPlan sigma = plan("sigma");
  EXPECT_EQ(sigma.parameters, plain.parameters + 14);
  EXPECT_GT(sigma.chosen().reparam, 0);
  EXPECT_EQ(sigma.matmul_flops, plain.matmul_flops);
  const TrainingPlan norms = plan("weight_norm");
  EXPECT_GT(norms.chosen().reparam, 2 * (4 * 32 * 32 + 3 * 96 * 32) * 4);
  EXPECT_THAT(to_text(norms, 1e12), HasSubstr("vectors, made weights"));
  EXPECT_THAT(to_text(plain, 1e12), testing::Not(HasSubstr("vectors, made weights")));
}

}  // namespace
}  // namespace clausius
