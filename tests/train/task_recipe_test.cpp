// SPDX-License-Identifier: Apache-2.0
// Recipes of synthetic tasks: what follows from the task, and what is refused.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/dataset.h"
#include "train/recipe.h"
#include "train/run_plan.h"

namespace clausius {
namespace {

using ::testing::HasSubstr;

Recipe parse(const std::string& train, const std::string& model = "") {
  return parse_recipe(
      "data: {kind: task, task: repeated_segment, context_length: 24}\n"
      "model: {kind: decoder_lm, layers: 1, model_dim: 16, num_heads: 2" +
          model + "}\noptimizer: {kind: adamw, lr: 1.0e-3}\ntrain: {" + train + "}\n",
      "r.yaml", "/recipes");
}

std::string error(const std::string& train) {
  try {
    (void)parse(train);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(TaskRecipe, AStreamHasNoEpochs) {
  EXPECT_THAT(
      error("epochs: 2, batch_samples: 4"),
      HasSubstr("r.yaml:4:9: key 'train.epochs': this data is endless; give steps or tokens"));
  EXPECT_THAT(error("steps: 2, batch_tokens: 50"),
              HasSubstr("50 is not a multiple of data.context_length 24"));
}

TEST(TaskRecipe, LengthsAndSamplesFollow) {
  const Recipe recipe = parse("tokens: 1000, batch_samples: 4");
  const RunPlan plan = plan_run(recipe, recipe.data.make(DataContext{})->facts(), 2, 1);
  EXPECT_EQ(plan.steps, 11);  // 96 tokens a step
  EXPECT_EQ(plan.batch_samples, 4);
  EXPECT_EQ(plan.tokens_per_sample, 24);
  EXPECT_EQ(plan.evaluate_samples, 1000);
}

}  // namespace
}  // namespace clausius
