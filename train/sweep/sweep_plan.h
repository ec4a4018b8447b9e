// SPDX-License-Identifier: Apache-2.0
// A sweep file as the list of its cells.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config_file.h"
#include "train/recipe.h"
#include "train/sweep/sweep_config.h"

namespace clausius {

struct AxisValue {
  std::string label;  // as written
  std::vector<ConfigOverride> overrides;
};

struct SweepAxis {
  std::string name;
  std::vector<AxisValue> values;
  /// The name is a label, its values are named sets.
  bool named_sets = false;
};

/// One run of the sweep.
struct SweepCell {
  /// Also of its folder: `sigma_lr=1.0e-3_seed=0`.
  std::string name;
  /// The value of each axis, by number.
  std::vector<std::size_t> places;
  /// What the cell trains; none where it evaluates.
  std::optional<Recipe> recipe{};
  /// What `clausius eval` is told besides the checkpoint, as `key=value`.
  std::vector<std::string> arguments{};
};

struct SweepPlan {
  SweepConfig config;
  /// Relative paths of `arguments` start here: the folder of the sweep file.
  std::filesystem::path folder;
  /// Those of the grid as written, then `seed`.
  std::vector<SweepAxis> axes;
  std::vector<SweepCell> cells;
  /// Axes by number; together every axis once.
  std::vector<std::size_t> rows;
  std::vector<std::size_t> columns;
  std::vector<std::size_t> average;
  /// Cells that are equal, and what recipes had to say.
  std::vector<std::string> warnings;
};

/// Reads a sweep file and every recipe it makes, strictly. `overrides` (`key=value`) go over all cells, last.
/// Errors:  ConfigError naming file, line and column, and the cell where its recipe is wrong.
[[nodiscard]] SweepPlan load_sweep(const std::filesystem::path& file,
                                   const std::vector<std::string>& overrides = {});

}  // namespace clausius
