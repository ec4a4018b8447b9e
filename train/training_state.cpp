// SPDX-License-Identifier: Apache-2.0
// What a checkpoint of a run holds, under which names.
#include "train/training_state.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/ops/sum_of_squares/sum_of_squares.h"
#include "core/version.h"
#include "train/buckets.h"
#include "train/run_directory.h"

namespace clausius {

std::vector<OptimizerState> whole_state(Optimizer& optimizer,
                                        const ParameterStore& parameters,
                                        Communicator& communicator,
                                        const GradientReducer& reducer) {
  std::vector<OptimizerState> states = optimizer.state();
  if (reducer.shared()) {
    for (OptimizerState& state : states) {
      state.values = gather_state(state.values, parameters.size(), communicator, reducer.buckets());
    }
  }
  return communicator.rank() == 0 ? states : std::vector<OptimizerState>();
}

namespace {

// One bad vector would be all that a resumed run has.
void check_finite(const StateTensor& state) {
  const double squares = ops::sum_of_squares(state.value.contiguous()).item();
  CLS_CHECK(std::isfinite(squares), GuardError, "state '", state.path,
            "' is not finite; no checkpoint is written with it");
}

}  // namespace

Checkpoint make_checkpoint(const Recipe& recipe,
                           const RunPlan& plan,
                           const RunPosition& position,
                           ParameterStore& parameters,
                           const std::vector<OptimizerState>& optimizer,
                           const Dataset& data) {
  Checkpoint checkpoint;
  checkpoint.step = position.step;
  checkpoint.tokens = position.tokens;
  checkpoint.samples = position.samples;
  checkpoint.values["threads"] = std::int64_t{plan.threads};
  checkpoint.values["micro_batch"] = plan.micro_batch;
  checkpoint.values["ranks"] = std::int64_t{plan.ranks};
  checkpoint.values["vocab_size"] = recipe.tokenizer_vocab_size;
  checkpoint.values["version"] = std::string(kVersion);
  checkpoint.values["commit"] = std::string(kCommit);
  checkpoint.texts["recipe"] = to_yaml(recipe);
  checkpoint.values["data_fingerprint"] = data.facts().fingerprint;
  if (data.tokenizer() != nullptr) {
    checkpoint.texts["tokenizer"] = data.tokenizer()->to_json();
  }
  checkpoint.aliases = parameters.aliases();
  for (Parameter& parameter : parameters.parameters()) {
    checkpoint.tensors.push_back(
        {parameter.path(), TensorRole::kParameter, parameter.master().to(kCpu)});
  }
  for (const StateTensor& state : parameters.states()) {
    check_finite(state);
    checkpoint.tensors.push_back({state.path, TensorRole::kState, state.value.to(kCpu)});
  }
  // Moments by parameter, not as flat buffers: another layout (padding, order) still reads them.
  for (const OptimizerState& state : optimizer) {
    for (const Parameter& parameter : parameters.parameters()) {
      const Tensor part =
          state.values.slice(0, parameter.offset(), parameter.offset() + parameter.numel());
      checkpoint.tensors.push_back({state.name + "/" + parameter.path(), TensorRole::kOptimizer,
                                    part.reshape(parameter.shape()).to(kCpu)});
    }
  }
  return checkpoint;
}

namespace {

void restore(const Checkpoint& checkpoint,
             TensorRole role,
             const std::string& name,
             Tensor target) {
  const Tensor stored = checkpoint.find(role, name);
  CLS_CHECK(stored.defined(), DataError, "the checkpoint of step ", checkpoint.step,
            " has no tensor '", name, "'");
  CLS_CHECK(stored.shape() == target.shape(), DataError, "tensor '", name,
            "' of the checkpoint has shape ", stored.shape(), "; the model's has ", target.shape());
  target.copy_from(stored);
}

}  // namespace

void restore_parameters(const Checkpoint& checkpoint, ParameterStore& parameters) {
  for (Parameter& parameter : parameters.parameters()) {
    restore(checkpoint, TensorRole::kParameter, parameter.path(), parameter.master());
  }
  for (const StateTensor& state : parameters.states()) {
    restore(checkpoint, TensorRole::kState, state.path, state.value);
  }
  const auto has_state = [&](const std::string& name) {
    return std::any_of(parameters.states().begin(), parameters.states().end(),
                       [&](const StateTensor& state) { return state.path == name; });
  };
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    CLS_CHECK(tensor.role != TensorRole::kParameter || parameters.find(tensor.name) != nullptr,
              DataError, "parameter '", tensor.name,
              "' of the checkpoint has no place in the model");
    CLS_CHECK(tensor.role != TensorRole::kState || has_state(tensor.name), DataError, "state '",
              tensor.name,
              "' of the checkpoint has no place in the model: is linear.reparam another, or "
              "qkv_grouping?");
  }
  parameters.refresh_compute_copy();
}

void broadcast_states(ParameterStore& parameters, Communicator& communicator) {
  for (StateTensor& state : parameters.states()) {
    Tensor host = state.value.to(kCpu).contiguous();
    communicator.broadcast(host, 0, "state " + state.path);
    if (host.raw() != state.value.raw()) {
      state.value.copy_from(host);
    }
  }
}

void restore_optimizer(const Checkpoint& checkpoint,
                       Optimizer& optimizer,
                       const ParameterStore& parameters) {
  for (OptimizerState& state : optimizer.state()) {
    Tensor whole = Tensor::zeros({parameters.size()}, state.values.dtype());
    for (const Parameter& parameter : parameters.parameters()) {
      const Tensor part =
          whole.slice(0, parameter.offset(), parameter.offset() + parameter.numel());
      restore(checkpoint, TensorRole::kOptimizer, state.name + "/" + parameter.path(),
              part.reshape(parameter.shape()));
    }
    std::int64_t placed = 0;
    for (const FlatRange& owned : parameters.owned()) {
      state.values.slice(0, placed, placed + owned.size())
          .copy_from(whole.slice(0, owned.begin, owned.end));
      placed += owned.size();
    }
  }
}

LanguageModel& LoadedModel::language_model() const {
  auto* language = dynamic_cast<LanguageModel*>(model.get());
  CLS_CHECK(language != nullptr, ConfigError, path.string(), ": model kind '", recipe.model.kind(),
            "' does not predict tokens");
  return *language;
}

Recipe recipe_of(const Checkpoint& checkpoint,
                 const std::filesystem::path& file,
                 const std::vector<std::string>& overrides) {
  const auto text = checkpoint.texts.find("recipe");
  CLS_CHECK(text != checkpoint.texts.end(), DataError, file.string(), ": holds no recipe");
  Recipe recipe = parse_recipe(text->second, "the recipe in " + file.string(),
                               std::filesystem::current_path(), overrides);
  const auto vocabulary = checkpoint.values.find("vocab_size");
  if (vocabulary != checkpoint.values.end()) {
    recipe.tokenizer_vocab_size = std::get<std::int64_t>(vocabulary->second);
  }
  return recipe;
}

SavedModel open_model(const std::filesystem::path& file_or_run,
                      const std::vector<std::string>& overrides) {
  SavedModel saved;
  saved.path = find_checkpoint(file_or_run);
  saved.checkpoint = read_checkpoint(saved.path, {.optimizer = false});
  saved.recipe = recipe_of(saved.checkpoint, saved.path, overrides);
  return saved;
}

LoadedModel load_model(const SavedModel& saved) {
  LoadedModel loaded;
  loaded.path = saved.path;
  loaded.recipe = saved.recipe;
  const auto tokenizer = saved.checkpoint.texts.find("tokenizer");
  if (tokenizer != saved.checkpoint.texts.end()) {
    loaded.tokenizer = Tokenizer::from_json(tokenizer->second);
  }
  loaded.step = saved.checkpoint.step;
  ModelContext context = loaded.recipe.model_context();
  context.restored = true;
  loaded.model = loaded.recipe.model.make(context);
  restore_parameters(saved.checkpoint, loaded.model->parameters());
  if (Reparam* reparam = loaded.model->reparam()) {
    reparam->begin_evaluation();
  }
  return loaded;
}

LoadedModel load_model(const std::filesystem::path& file_or_run,
                       const std::vector<std::string>& overrides) {
  return load_model(open_model(file_or_run, overrides));
}

}  // namespace clausius
