// SPDX-License-Identifier: Apache-2.0
// Steps of the model that a recipe's text describes, on the tiny batches: for tests of knobs in training.
#pragma once

#include <memory>
#include <string>

#include "tests/train/fake_communicator.h"
#include "tests/train/tiny_model.h"
#include "train/recipe.h"
#include "train/train_step.h"

namespace clausius::test {

struct StepperKeys {
  /// Beside `kind: decoder_lm, model_dim: 8, num_heads: 2`; `layers: 2` unless it stands here.
  std::string model = "";
  std::string regularizers = "{}";
  std::string optimizer = "{kind: sgd, lr: 0.5, momentum: 0.0}";
  std::string precision = "f32";
  std::string recompute = "none";
  Dtype master = Dtype::kF64;
};

/// The recipe's text, whole. Reads back to itself once resolved (checked by the stepper).
[[nodiscard]] std::string stepper_recipe(const StepperKeys& keys);
[[nodiscard]] Recipe parse_stepper_recipe(const StepperKeys& keys);

class RecipeStepper {
 public:
  explicit RecipeStepper(const StepperKeys& keys);

  StepOutcome take(const LoadedStep& data, std::int64_t number = 1);
  [[nodiscard]] ParameterStore& parameters() { return model->parameters(); }
  [[nodiscard]] Parameter& parameter(const std::string& path);
  [[nodiscard]] Tensor weights() { return parameters().master().clone(); }

  Recipe recipe;
  std::unique_ptr<Model> model;
  std::unique_ptr<Optimizer> optimizer;
  FakeCommunicator ranks;
  GradientReducer reducer;
  TrainStep step;
  EntropyTotals entropy;
};

}  // namespace clausius::test
