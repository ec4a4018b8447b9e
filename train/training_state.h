// SPDX-License-Identifier: Apache-2.0
// Between a run's parts and its checkpoints.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/dataset.h"
#include "data/tokenizer/tokenizer.h"
#include "layers/models/model.h"
#include "optim/optimizer.h"
#include "train/checkpoint.h"
#include "train/gradient_reducer.h"
#include "train/recipe.h"
#include "train/run_plan.h"

namespace clausius {

/// Where a run stands besides its tensors.
struct RunPosition {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  std::int64_t samples = 0;
};

/// Optimizer state, one number for each element of the flat buffers: this process's own, or, where ranks share it, gathered on
/// the host of rank 0; nothing on the other ranks. Collective where they share it.
[[nodiscard]] std::vector<OptimizerState> whole_state(Optimizer& optimizer,
                                                      const ParameterStore& parameters,
                                                      Communicator& communicator,
                                                      const GradientReducer& reducer);

/// A view of everything the run needs to go on: the tensors share memory with model and optimizer where they are on the host.
[[nodiscard]] Checkpoint make_checkpoint(const Recipe& recipe,
                                         const RunPlan& plan,
                                         const RunPosition& position,
                                         ParameterStore& parameters,
                                         const std::vector<OptimizerState>& optimizer,
                                         const Dataset& data);

/// Copies the checkpoint's parameters and states into the store, by name.
/// Errors: DataError naming one that is missing, unknown, or of another shape.
/// A reparametrisation then still has to begin a step or an evaluation.
void restore_parameters(const Checkpoint& checkpoint, ParameterStore& parameters);
/// The states of rank 0 on every rank. Collective.
void broadcast_states(ParameterStore& parameters, Communicator& communicator);
/// The same for what the optimizer keeps of it: the whole, or this rank's shares.
void restore_optimizer(const Checkpoint& checkpoint,
                       Optimizer& optimizer,
                       const ParameterStore& parameters);

/// A trained model by itself, for evaluation and generation.
struct LoadedModel {
  Recipe recipe;
  std::unique_ptr<Tokenizer> tokenizer;  // null where the data had none
  std::unique_ptr<Model> model;
  std::int64_t step = 0;
  std::filesystem::path path;

  /// Errors: ConfigError when the model is none that predicts tokens.
  [[nodiscard]] LanguageModel& language_model() const;
};

/// The recipe that a checkpoint carries, ready to make its model. Errors: DataError when it carries none; ConfigError.
[[nodiscard]] Recipe recipe_of(const Checkpoint& checkpoint,
                               const std::filesystem::path& file,
                               const std::vector<std::string>& overrides = {});

/// A trained model before it is made: what has to be known first (devices, ranks) stands in its recipe.
struct SavedModel {
  Recipe recipe;
  Checkpoint checkpoint;  // without optimizer state
  std::filesystem::path path;
};

/// Reads a checkpoint, or a run's newest. `overrides` change the recipe. Errors: IoError, DataError, ConfigError.
[[nodiscard]] SavedModel open_model(const std::filesystem::path& file_or_run,
                                    const std::vector<std::string>& overrides = {});
/// Makes the model, with the checkpoint's tokenizer and parameters. Errors: DataError, ConfigError.
[[nodiscard]] LoadedModel load_model(const SavedModel& saved);
/// Both. Errors: as theirs.
[[nodiscard]] LoadedModel load_model(const std::filesystem::path& file_or_run,
                                     const std::vector<std::string>& overrides = {});

}  // namespace clausius
