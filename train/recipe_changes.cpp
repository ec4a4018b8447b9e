// SPDX-License-Identifier: Apache-2.0
// Comparing resolved recipes key by key.
#include "train/recipe_changes.h"

#include <algorithm>
#include <map>

#include "core/config_duration.h"
#include "core/error.h"

namespace clausius {
namespace {

// Dotted path to value, leaves only; empty lists and maps are leaves.
void flatten(const ConfigNode& node, std::map<std::string, std::string>& leaves) {
  if (node.is_scalar() || node.items.empty()) {
    leaves[node.path] = node.is_scalar() ? node.text : node.is_list() ? "[]" : "{}";
    return;
  }
  for (const ConfigNode& item : node.items) {
    flatten(item, leaves);
  }
}

std::map<std::string, std::string> leaves_of(const Recipe& recipe) {
  ConfigNode root = write_config(recipe);
  set_paths(root);
  std::map<std::string, std::string> leaves;
  flatten(root, leaves);
  return leaves;
}

bool is_free(const std::string& key) {
  static constexpr std::string_view kSections[] = {"monitor.", "checkpoint.", "evaluate.",
                                                   "parallel."};
  static constexpr std::string_view kKeys[] = {"device", "train.micro_batch", "train.recompute",
                                               "train.device_graph"};
  return std::any_of(std::begin(kSections), std::end(kSections),
                     [&](std::string_view s) { return key.starts_with(s); }) ||
         std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys) ||
         (key.starts_with("model.mixer.") && key.find(".kernel.") != std::string::npos);
}

// The part of the schedule already run does not depend on the number of steps.
bool may_change_steps(const Recipe& before, std::int64_t step, const Duration::Run& run) {
  const std::vector<Choice<Regularizer>> regularizers = before.regularizers.chosen();
  if (std::any_of(regularizers.begin(), regularizers.end(),
                  [](const Choice<Regularizer>& choice) { return choice.facts().anneals; })) {
    return false;
  }
  if (before.schedule.kind() == "constant") {
    return true;
  }
  if (before.schedule.kind() != "wsd") {
    return false;
  }
  const ConfigNode schedule = write_config(before.schedule);
  Duration decay;
  ConfigType<Duration>::read(*schedule.find("decay"), decay, {});
  return step <= run.steps - decay.in_steps(run);
}

}  // namespace

std::vector<RecipeChange> recipe_changes(const Recipe& before, const Recipe& after) {
  const std::map<std::string, std::string> old_leaves = leaves_of(before);
  std::map<std::string, std::string> new_leaves = leaves_of(after);
  std::vector<RecipeChange> changes;
  for (const auto& [key, value] : old_leaves) {
    const auto other = new_leaves.find(key);
    const std::string now = other == new_leaves.end() ? "absent" : other->second;
    if (now != value) {
      changes.push_back({key, value, now});
    }
  }
  for (const auto& [key, value] : new_leaves) {
    if (!old_leaves.contains(key)) {
      changes.push_back({key, "absent", value});
    }
  }
  return changes;
}

void check_resumable(const Recipe& before,
                     const Recipe& after,
                     std::int64_t step,
                     const Duration::Run& run) {
  std::string refused;
  for (const RecipeChange& change : recipe_changes(before, after)) {
    const bool allowed =
        is_free(change.key) || (change.key == "train.steps" && may_change_steps(before, step, run));
    if (!allowed) {
      refused += concat(refused.empty() ? "" : "; ", change.key, " was ", change.before, ", now ",
                        change.after);
    }
  }
  CLS_CHECK(refused.empty(), ConfigError, "a resumed run cannot change ", refused);
}

}  // namespace clausius
