// SPDX-License-Identifier: Apache-2.0
// The top level of the recipe language: its keys, the rules between its sections, loading and writing.
#include "train/recipe.h"

#include <algorithm>

#include "core/config_file.h"
#include "core/device_backend.h"
#include "core/io/yaml.h"

namespace clausius {
namespace {

void check_batch(const ConfigCheck& check, const TrainConfig& train, const DataTraits& data) {
  const bool has_tokens = data.context_length > 0;
  check.that(!train.batch_tokens || has_tokens, "train.batch_tokens",
             "these samples are not tokens; give batch_samples");
  check.that(!train.tokens || has_tokens, "train.tokens",
             "these samples are not tokens; give steps or epochs");
  check.that(!train.epochs || !data.endless, "train.epochs",
             "this data is endless; give steps or tokens");
  if (train.batch_tokens && has_tokens) {
    check.that(*train.batch_tokens % data.context_length == 0, "train.batch_tokens",
               *train.batch_tokens, " is not a multiple of data.context_length ",
               data.context_length);
  }
}

void check_validation(const ConfigCheck& check, const Recipe& recipe) {
  const bool needs_best =
      recipe.checkpoint.keep_best && *recipe.checkpoint.keep_best != KeepBest::kAuto;
  const char* reason =
      "there is no validation data that would produce this metric; give data.validation or "
      "data.validation_ratio";
  check.that(!needs_best, "checkpoint.keep_best", reason);
  check.that(!recipe.train.early_stop, "train.early_stop", reason);
}

void check_regularizers(const ConfigCheck& check,
                        const Recipe& recipe,
                        const ModelFacts& model,
                        const DataTraits& data) {
  for (const Choice<Regularizer>& choice : recipe.regularizers.chosen()) {
    const std::string key = concat("regularizers.", choice.kind());
    const RegularizerFacts facts = choice.facts();
    check.that(!facts.needs_probabilities || model.has_probabilities, key,
               "no mixer of this model has attention probabilities whose entropy it reports");
    check.that(!facts.needs_token_head || model.has_token_head, key,
               "this model has no head over tokens");
    check.that(data.context_length == 0 || facts.skip_rows < data.context_length,
               key + ".skip_rows", facts.skip_rows, " rows of ", data.context_length,
               " leave none");
  }
}

void check_alarms(const ConfigCheck& check, const MonitorConfig& monitor, const ModelFacts& model) {
  check.that(!monitor.uses(AlarmPolicy::kRaiseTemperature) || model.has_temperature,
             "monitor.on_alarm.collapse",
             "raise_temperature needs mixers that learn a temperature; give mixer.temperature");
  const auto* named = std::get_if<std::map<Alarm, AlarmPolicy>>(&monitor.on_alarm);
  if (named == nullptr || model.has_probabilities) {
    return;
  }
  for (const auto& [alarm, policy] : *named) {
    check.that(policy == AlarmPolicy::kLog || alarm == Alarm::kSpike || alarm == Alarm::kNonfinite,
               concat("monitor.on_alarm.", word_of(alarm)),
               "no mixer of this model has attention probabilities: the alarm is never raised");
  }
}

Device model_device(DeviceChoice choice) {
  const bool cuda = choice == DeviceChoice::kOnCuda ||
                    (choice == DeviceChoice::kAuto && cuda_backend() != nullptr);
  return cuda ? kCuda : kCpu;
}

}  // namespace

ModelContext Recipe::model_context() const {
  return {.vocab_size = tokenizer_vocab_size,
          .context_length = data.kind().empty() ? 0 : data.facts().context_length,
          .seed = static_cast<std::uint64_t>(seed),
          .compute = precision == Precision::kBf16 ? Dtype::kBf16 : Dtype::kF32,
          .master = Dtype::kF32,
          .device = model_device(device),
          .regularizers = regularizers.chosen()};
}

void Recipe::visit(ConfigVisitor& v) {
  v.field("extends", extends,
          "one parent recipe; maps merge key by key, lists and scalars replace");
  v.preset("name", name, "the file's name", "names the run and its folder");
  v.field("seed", seed, "of weights, data order, masks and dropout", non_negative);
  v.field("precision", precision,
          "bf16: activations and matrix operands; weights, sums and the optimizer stay f32");
  v.field("device", device, "where the run computes");
  v.required("data", data, "what the model learns from");
  v.required_in(model_context(), "model", model, "what is trained");
  v.field("objective", objective, "what the model is asked to predict");
  v.field("regularizers", regularizers, "what training adds to the loss; no part of val_loss");
  v.required("optimizer", optimizer, "how gradients become updates");
  v.field("schedule", schedule, "the learning rate as a share of its peak, step by step");
  v.required("train", train, "length of the run, batch, clipping");
  v.field("monitor", monitor, "what is observed, and what alarms do");
  v.field("checkpoint", checkpoint, "how often the run is saved, and what is kept");
  v.field("parallel", parallel, "threads, ranks and their communication");
  v.field("evaluate", evaluate, "how often and on how much the model is scored");
}

void Recipe::validate(const ConfigCheck& check) const {
  const DataTraits rows = data.facts();
  const ModelFacts facts = model.facts(model_context());
  check.that(device != DeviceChoice::kOnCuda || cuda_backend() != nullptr, "device",
             "cuda is not available: this build has no CUDA backend, or the machine no device; use "
             "auto or cpu");
  check.that(!rows.packs_documents || facts.isolates_documents, "data.packing",
             "documents share rows, and a mixer of this model does not keep them apart; use chunks "
             "or stream");
  check_batch(check, train, rows);
  check_regularizers(check, *this, facts, rows);
  check_alarms(check, monitor, facts);
  if (!rows.has_validation) {
    check_validation(check, *this);
  }
}

Recipe read_recipe(const ConfigNode& root, const std::string& name) {
  Recipe recipe;
  recipe.name = name;
  ReadLog log;
  read_config(root, recipe, log);
  recipe.warnings = std::move(log.warnings);
  return recipe;
}

Recipe load_recipe(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  return read_recipe(load_config(file, overrides), file.stem().string());
}

Recipe parse_recipe(std::string_view text,
                    const std::string& name,
                    const std::filesystem::path& directory,
                    const std::vector<std::string>& overrides) {
  const auto source = std::make_shared<const ConfigSource>(ConfigSource{name, directory.string()});
  return read_recipe(parse_config(text, source, overrides),
                     std::filesystem::path(name).stem().string());
}

std::string to_yaml(const Recipe& recipe) {
  return to_yaml(write_config(recipe));
}

std::vector<FieldSchema> recipe_schema() {
  Recipe recipe;
  const NoContext none;
  detail::BlockOf block(recipe, none);
  return describe_block(block);
}

}  // namespace clausius
