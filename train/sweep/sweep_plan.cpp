// SPDX-License-Identifier: Apache-2.0
// Crossing the axes of a sweep.
#include "train/sweep/sweep_plan.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <set>

#include "core/error.h"
#include "core/io/hash.h"
#include "core/io/yaml.h"
#include "train/recipe_changes.h"

namespace clausius {
namespace {

constexpr std::string_view kSeed = "seed";
constexpr std::size_t kMostCells = 10000;
constexpr std::size_t kLongestPart = 60;

// As values of a command line are: with their place in the sweep file, and free to name entries of lists.
ConfigNode as_override(ConfigNode node) {
  if (node.location.source != nullptr && node.location.source->is_file) {
    node.location.source = std::make_shared<const ConfigSource>(
        ConfigSource{to_string(node.location), node.location.source->directory, false});
  }
  for (ConfigNode& item : node.items) {
    item = as_override(std::move(item));
  }
  return node;
}

std::vector<ConfigOverride> overrides_of(const ConfigNode& map) {
  std::vector<ConfigOverride> overrides;
  for (const ConfigNode& item : map.items) {
    overrides.push_back({item.key, as_override(item)});
  }
  return overrides;
}

SweepAxis read_axis(const ConfigNode& node) {
  SweepAxis axis{.name = node.key, .values = {}, .named_sets = node.is_map()};
  if (node.is_scalar() || node.items.empty()) {
    fail(node,
         "expected a list of values of this recipe key, or a map of named sets of keys, found ",
         node.is_scalar() ? found(node) : "an empty one");
  }
  if (node.key == kSeed) {
    fail(node, "the axis of seeds is the key `seeds` of the sweep");
  }
  for (const ConfigNode& item : node.items) {
    if (node.is_list()) {
      axis.values.push_back({to_yaml_line(item), {{node.key, as_override(item)}}});
    } else if (item.is_map()) {
      axis.values.push_back({item.key, overrides_of(item)});
    } else {
      fail(item, "expected a map of dotted recipe keys ({} for none), found ", found(item));
    }
    const auto same = [&](const AxisValue& value) {
      return value.label == axis.values.back().label;
    };
    if (std::count_if(axis.values.begin(), axis.values.end(), same) > 1) {
      fail(item, "this axis has the value ", axis.values.back().label, " twice");
    }
  }
  return axis;
}

SweepAxis seed_axis(const SweepConfig& config, const ConfigNode& root) {
  SweepAxis axis{.name = std::string(kSeed), .values = {}};
  if (!config.seeds) {
    axis.values.push_back({"the recipe's", {}});
    return axis;
  }
  const ConfigNode& list = *root.find("seeds");
  for (const ConfigNode& item : list.items) {
    axis.values.push_back({to_yaml_line(item), {{std::string(kSeed), as_override(item)}}});
    const auto same = [&](const AxisValue& value) {
      return value.label == axis.values.back().label;
    };
    if (std::count_if(axis.values.begin(), axis.values.end(), same) > 1) {
      fail(item, "seed ", item.text, " is there twice");
    }
  }
  return axis;
}

std::vector<std::string_view> names_of(const std::vector<SweepAxis>& axes) {
  std::vector<std::string_view> names;
  for (const SweepAxis& axis : axes) {
    names.push_back(axis.name);
  }
  return names;
}

std::size_t axis_named(const std::vector<SweepAxis>& axes,
                       const std::string& name,
                       const ConfigNode& where) {
  const auto axis = std::find_if(
      axes.begin(), axes.end(), [&](const SweepAxis& candidate) { return candidate.name == name; });
  if (axis == axes.end()) {
    fail(where, "no axis is called '", name, "'", suggestion(name, names_of(axes)));
  }
  return static_cast<std::size_t>(axis - axes.begin());
}

// The axes that `key` lists, each claimed once.
std::vector<std::size_t> claim_axes(const SweepPlan& plan,
                                    const ConfigNode& root,
                                    std::string_view key,
                                    const std::vector<std::string>& names,
                                    std::vector<std::string>& owners) {
  std::vector<std::size_t> axes;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const ConfigNode* list = root.find(key);
    const ConfigNode& where = list != nullptr ? list->items.at(i) : root;
    const std::size_t axis = axis_named(plan.axes, names[i], where);
    if (!owners[axis].empty()) {
      fail(where, "axis '", names[i], "' stands in ", owners[axis], " already");
    }
    owners[axis] = key;
    axes.push_back(axis);
  }
  return axes;
}

void place_axes(SweepPlan& plan, const ConfigNode& root) {
  std::vector<std::string> owners(plan.axes.size());
  plan.rows = claim_axes(plan, root, "rows", plan.config.rows, owners);
  plan.columns = claim_axes(plan, root, "columns", plan.config.columns, owners);
  // The default gives way: seeds may be rows or columns.
  const bool written = root.find("average") != nullptr;
  if (written || owners.back().empty()) {
    plan.average = claim_axes(plan, root, "average", plan.config.average, owners);
  }
  for (std::size_t axis = 0; axis < owners.size(); ++axis) {
    if (owners[axis].empty()) {
      plan.rows.push_back(axis);
    }
  }
}

// Pairs of axis and value by number, all of which an excluded cell has.
using Exclusion = std::vector<std::pair<std::size_t, std::size_t>>;

std::vector<Exclusion> read_exclusions(const SweepPlan& plan) {
  std::vector<Exclusion> exclusions;
  for (const RawNode& entry : plan.config.exclude) {
    Exclusion& exclusion = exclusions.emplace_back();
    if (entry.node.items.empty()) {
      fail(entry.node, "an empty entry excludes every cell");
    }
    for (const ConfigNode& item : entry.node.items) {
      const std::size_t axis = axis_named(plan.axes, item.key, item);
      const std::vector<AxisValue>& values = plan.axes[axis].values;
      const std::string label = plan.axes[axis].named_sets ? item.text : to_yaml_line(item);
      const auto value =
          std::find_if(values.begin(), values.end(),
                       [&](const AxisValue& candidate) { return candidate.label == label; });
      if (value == values.end()) {
        std::vector<std::string_view> labels;
        for (const AxisValue& candidate : values) {
          labels.push_back(candidate.label);
        }
        fail(item, "axis '", item.key, "' has no value ", label, suggestion(label, labels));
      }
      exclusion.emplace_back(axis, static_cast<std::size_t>(value - values.begin()));
    }
  }
  return exclusions;
}

bool is_excluded(const std::vector<std::size_t>& places, const std::vector<Exclusion>& exclusions) {
  return std::any_of(exclusions.begin(), exclusions.end(), [&](const Exclusion& exclusion) {
    return std::all_of(exclusion.begin(), exclusion.end(),
                       [&](const auto& pair) { return places[pair.first] == pair.second; });
  });
}

std::string file_name(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       std::string_view("._+=-").find(c) != std::string_view::npos;
    if (plain || !name.ends_with('-')) {
      name += plain ? c : '-';
    }
  }
  if (name.size() > kLongestPart) {
    name = name.substr(0, kLongestPart - 9) + "-" + xxh3_128(text).hex().substr(0, 8);
  }
  return name;
}

std::string last_step(const std::string& key) {
  return key.substr(key.rfind('.') + 1);
}

// What an axis contributes to a cell's name: the label of a named set, or the last word of the key (all of it where another axis ends
// alike) and the value.
std::string name_part(const std::vector<SweepAxis>& axes, std::size_t axis, std::size_t value) {
  const std::string& label = axes[axis].values[value].label;
  if (axes[axis].named_sets) {
    return file_name(label);
  }
  const std::string last = last_step(axes[axis].name);
  const auto alike = std::count_if(axes.begin(), axes.end(), [&](const SweepAxis& other) {
    return last_step(other.name) == last;
  });
  return file_name((alike > 1 ? axes[axis].name : last) + "=" + label);
}

std::string cell_name(const SweepPlan& plan, const std::vector<std::size_t>& places) {
  std::string name;
  for (std::size_t axis = 0; axis < places.size(); ++axis) {
    const bool only_seed = axis + 1 == places.size() && !plan.config.seeds;
    if (!only_seed) {
      name += (name.empty() ? "" : "_") + name_part(plan.axes, axis, places[axis]);
    }
  }
  return name.empty() ? "run" : name;
}

// Every combination, the last axis fastest.
std::vector<std::vector<std::size_t>> cross(const std::vector<SweepAxis>& axes,
                                            const std::vector<Exclusion>& exclusions) {
  std::size_t total = 1;
  for (const SweepAxis& axis : axes) {
    total *= axis.values.size();
    CLS_CHECK(total <= kMostCells, ConfigError, "the axes of this sweep make more than ",
              kMostCells, " cells");
  }
  std::vector<std::vector<std::size_t>> combinations;
  for (std::size_t number = 0; number < total; ++number) {
    std::vector<std::size_t> places(axes.size());
    std::size_t rest = number;
    for (std::size_t axis = axes.size(); axis-- > 0;) {
      places[axis] = rest % axes[axis].values.size();
      rest /= axes[axis].values.size();
    }
    if (!is_excluded(places, exclusions)) {
      combinations.push_back(std::move(places));
    }
  }
  return combinations;
}

// One error for a key that two axes set, where the recipe itself would be asked last.
std::vector<ConfigOverride> axis_overrides(const SweepPlan& plan,
                                           const std::vector<std::size_t>& places) {
  std::vector<ConfigOverride> overrides;
  for (std::size_t axis = 0; axis < places.size(); ++axis) {
    for (const ConfigOverride& item : plan.axes[axis].values[places[axis]].overrides) {
      overrides.push_back(item);
    }
  }
  return overrides;
}

Recipe cell_recipe(const SweepPlan& plan,
                   const SweepCell& cell,
                   const std::vector<std::string>& overrides) {
  const std::string where = "cell " + cell.name;
  const ErrorFrame frame(where);
  ConfigNode tree =
      override_config(load_config(*plan.config.recipe), overrides_of(plan.config.set.node));
  tree = override_config(std::move(tree), axis_overrides(plan, cell.places));
  tree = override_config(std::move(tree), {{"name", ConfigNode::word(cell.name)}});
  return read_recipe(override_config(std::move(tree), parse_overrides(overrides)), cell.name);
}

std::vector<std::string> eval_arguments(const SweepPlan& plan,
                                        const SweepCell& cell,
                                        const std::vector<std::string>& overrides) {
  // The last to name a key has it, as where recipes are merged.
  std::map<std::string, std::string> values;
  for (const ConfigOverride& item : overrides_of(plan.config.set.node)) {
    values[item.key] = to_yaml_line(item.value);
  }
  for (const ConfigOverride& item : axis_overrides(plan, cell.places)) {
    values[item.key] = to_yaml_line(item.value);
  }
  for (const ConfigOverride& item : parse_overrides(overrides)) {
    values[item.key] = to_yaml_line(item.value);
  }
  std::vector<std::string> arguments;
  for (const auto& [key, value] : values) {
    arguments.push_back(concat(key, "=", value));
  }
  return arguments;
}

// A file may be named by hand, and a cell by its values: neither may meet another.
void add_cells(SweepPlan& plan, const std::vector<std::string>& overrides) {
  std::set<std::string> names;
  std::map<std::string, std::string> recipes;
  std::set<std::string> warnings;
  for (const std::vector<std::size_t>& places : cross(plan.axes, read_exclusions(plan))) {
    SweepCell cell{.name = cell_name(plan, places), .places = places};
    if (!names.insert(cell.name).second) {
      cell.name += "_" + std::to_string(plan.cells.size());
      names.insert(cell.name);
    }
    if (plan.config.command == SweepCommand::kEval) {
      cell.arguments = eval_arguments(plan, cell, overrides);
    } else {
      cell.recipe = cell_recipe(plan, cell, overrides);
      warnings.insert(cell.recipe->warnings.begin(), cell.recipe->warnings.end());
      Recipe unnamed = *cell.recipe;
      unnamed.name.clear();
      const auto [known, fresh] = recipes.emplace(to_yaml(unnamed), cell.name);
      if (!fresh) {
        warnings.insert(concat("cells ", known->second, " and ", cell.name, " are the same run"));
      }
    }
    plan.cells.push_back(std::move(cell));
  }
  CLS_CHECK(!plan.cells.empty(), ConfigError, "every cell of this sweep is excluded");
  plan.warnings.assign(warnings.begin(), warnings.end());
}

void check_exists(const std::optional<std::filesystem::path>& path,
                  const ConfigNode& root,
                  std::string_view key) {
  if (path && !std::filesystem::exists(*path)) {
    fail(*root.find(key), "there is no ", path->string());
  }
}

}  // namespace

SweepPlan load_sweep(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  const ConfigNode root = load_config(file);
  SweepPlan plan;
  plan.folder = std::filesystem::absolute(file).lexically_normal().parent_path();
  plan.config.name = file.stem().string();
  ReadLog log;
  read_config(root, plan.config, log);
  check_exists(plan.config.recipe, root, "recipe");
  check_exists(plan.config.checkpoint, root, "checkpoint");
  for (const ConfigNode& axis : plan.config.grid.node.items) {
    plan.axes.push_back(read_axis(axis));
  }
  plan.axes.push_back(seed_axis(plan.config, root));
  place_axes(plan, root);
  add_cells(plan, overrides);
  return plan;
}

}  // namespace clausius
