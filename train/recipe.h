// SPDX-License-Identifier: Apache-2.0
// Recipe: one run, as typed sections.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/config_path.h"
#include "core/registry.h"
#include "data/dataset.h"
#include "data/objective.h"
#include "layers/models/model.h"
#include "layers/regularizers/regularizer_blocks.h"
#include "optim/optimizer.h"
#include "optim/schedule/schedule.h"
#include "train/monitor/monitor_config.h"
#include "train/train_config.h"

namespace clausius {

enum class Precision { kF32, kBf16 };
constexpr auto words_of(Precision /*unused*/) {
  return words("f32", "bf16");
}

enum class DeviceChoice { kAuto, kOnCpu, kOnCuda };
constexpr auto words_of(DeviceChoice /*unused*/) {
  return words("auto", "cpu", "cuda");
}

/// The whole recipe language, as far as it is built: RECIPES of the user guide, section by section.
struct Recipe {
  std::optional<std::filesystem::path> extends;  // always empty: loading merges the parent in
  std::string name;
  std::int64_t seed = 1337;
  Precision precision = Precision::kF32;
  DeviceChoice device = DeviceChoice::kAuto;
  Choice<Dataset> data;
  Choice<Model> model;
  Choice<Objective> objective{"next_token"};
  RegularizerBlocks regularizers;
  Choice<Optimizer> optimizer;
  Choice<Schedule> schedule{"cosine"};
  TrainConfig train;
  MonitorConfig monitor;
  CheckpointConfig checkpoint;
  ParallelConfig parallel;
  EvaluateConfig evaluate;

  // Not keys.
  std::int64_t tokenizer_vocab_size =
      0;  // of the open data; 0 = not known yet, then model.vocab_size stays auto
  std::vector<std::string> warnings;  // what reading had to say

  void visit(ConfigVisitor& v);
  void validate(const ConfigCheck& check) const;
  /// What the model gets from the other sections.
  [[nodiscard]] ModelContext model_context() const;
};

/// Reads a recipe with its parents and `key=value` overrides, strictly, and checks it whole; opens no file but recipes.
/// Errors:  ConfigError `file:line:column: key 'a.b': ..`, or `command line: key=value: ..`.
[[nodiscard]] Recipe load_recipe(const std::filesystem::path& file,
                                 const std::vector<std::string>& overrides = {});

/// The same for a tree whose parents and overrides are merged already; `name` is the recipe's unless the tree has one.
[[nodiscard]] Recipe read_recipe(const ConfigNode& root, const std::string& name);

/// The same for a recipe that is no file, such as the one in a checkpoint; `name` is what messages call it, and relative
/// paths start from `directory`.
[[nodiscard]] Recipe parse_recipe(std::string_view text,
                                  const std::string& name,
                                  const std::filesystem::path& directory,
                                  const std::vector<std::string>& overrides = {});

/// recipe.resolved.yaml: every key in long form, patterns as written, paths absolute, `auto` replaced where its value
/// follows from recipe and data. Reads back to the same recipe.
[[nodiscard]] std::string to_yaml(const Recipe& recipe);

/// Every key of a recipe, for help pages and JSON Schema.
[[nodiscard]] std::vector<FieldSchema> recipe_schema();

/// The folder of the recipes that come with the program: beside its source tree, or installed with it; empty if neither.
[[nodiscard]] std::filesystem::path recipe_folder();

/// A recipe by path, or by its name in recipe_folder().
/// Errors:  ConfigError naming the nearest recipe where there is none.
[[nodiscard]] std::filesystem::path find_recipe(const std::string& name_or_path);

/// The same for a sweep (*_sweep.yaml).
[[nodiscard]] std::filesystem::path find_sweep(const std::string& name_or_path);

/// The recipes of a folder, in alphabetical order; sweeps (*_sweep.yaml) left out.
[[nodiscard]] std::vector<std::filesystem::path> list_recipes(const std::filesystem::path& folder);
[[nodiscard]] std::vector<std::filesystem::path> list_sweeps(const std::filesystem::path& folder);

}  // namespace clausius
