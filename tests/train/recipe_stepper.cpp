// SPDX-License-Identifier: Apache-2.0
// From a recipe's text to a step.
#include "tests/train/recipe_stepper.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "train/buckets.h"

namespace clausius::test {
namespace {

std::unique_ptr<Model> make_model(const Recipe& recipe, Dtype master) {
  ModelContext context = recipe.model_context();
  context.master = master;
  std::unique_ptr<Model> model = recipe.model.make(context);
  model->parameters().allocate_gradients();
  return model;
}

}  // namespace

std::string stepper_recipe(const StepperKeys& keys) {
  const std::string layers =
      keys.model.find("layers:") == std::string::npos ? "  layers: 2\n" : std::string();
  return "precision: " + keys.precision + "\ndevice: cpu\ndata: {kind: text, train: a.txt, " +
         "context_length: " + std::to_string(kTinyLength) +
         "}\nmodel:\n  kind: decoder_lm\n  model_dim: 8\n  num_heads: 2\n" + layers +
         (keys.model.empty() ? "" : "  " + keys.model + "\n") +
         "regularizers: " + keys.regularizers + "\noptimizer: " + keys.optimizer +
         "\ntrain: {steps: 4, batch_samples: 4, recompute: " + keys.recompute + "}\n";
}

Recipe parse_stepper_recipe(const StepperKeys& keys) {
  Recipe recipe = parse_recipe(stepper_recipe(keys), "stepper.yaml", "/recipes");
  const std::string once = to_yaml(recipe);
  EXPECT_EQ(to_yaml(parse_recipe(once, "stepper.yaml", "/recipes")), once) << keys.model;
  recipe.tokenizer_vocab_size = kTinyVocab;
  return recipe;
}

RecipeStepper::RecipeStepper(const StepperKeys& keys)
    : recipe(parse_stepper_recipe(keys)),
      model(make_model(recipe, keys.master)),
      optimizer(recipe.optimizer.make(model->parameters())),
      reducer(model->parameters(), ranks, make_buckets(model->parameters(), 1024, 1), false),
      step(*model,
           *optimizer,
           reducer,
           ranks,
           {.seed = 3, .steps = 4, .clip_norm = std::nullopt, .recompute = recipe.train.recompute}),
      entropy(model->heads_per_layer()) {
  set_num_threads(1);
}

StepOutcome RecipeStepper::take(const LoadedStep& data, std::int64_t number) {
  entropy.reset();
  return step.run(data, number, optimizer->peak_lr(), entropy);
}

Parameter& RecipeStepper::parameter(const std::string& path) {
  Parameter* found = parameters().find(path);
  CLS_CHECK(found != nullptr, InternalError, "no parameter ", path);
  return *found;
}

}  // namespace clausius::test
