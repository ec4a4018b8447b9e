// SPDX-License-Identifier: Apache-2.0
// The arithmetic of sweep tables.
#pragma once

#include <cstddef>
#include <vector>

#include "train/sweep/sweep_table.h"

namespace clausius {

/// Values of a measure, of the cells of an entry that are done and have one.
[[nodiscard]] std::vector<double> values_of(const TableEntry& entry,
                                            std::size_t measure,
                                            const std::vector<CellResult>& results);

struct Difference {
  std::size_t pairs = 0;
  double mean = 0;
  double standard_error = 0;  // 0 for fewer than two pairs
};

/// Of `entry` to `base`, over the pairs of their cells that have equal averaged axes.
[[nodiscard]] Difference paired_difference(const SweepPlan& plan,
                                           const std::vector<CellResult>& results,
                                           const TableEntry& entry,
                                           const TableEntry& base,
                                           std::size_t measure);

}  // namespace clausius
