// SPDX-License-Identifier: Apache-2.0
// Means, deviations and paired differences.
#include "train/sweep/sweep_statistics.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace clausius {

Statistic statistic_of(const std::vector<double>& values) {
  Statistic statistic{.count = values.size()};
  if (values.empty()) {
    return statistic;
  }
  const auto count = static_cast<double>(values.size());
  for (const double value : values) {
    statistic.mean += value / count;
  }
  double squares = 0;
  for (const double value : values) {
    squares += (value - statistic.mean) * (value - statistic.mean);
  }
  statistic.std = values.size() > 1 ? std::sqrt(squares / (count - 1)) : 0.0;
  return statistic;
}

std::string to_text(const Statistic& statistic) {
  return statistic.count > 1 ? fmt::format("{:.4g} +- {:.2g}", statistic.mean, statistic.std)
                             : fmt::format("{:.4g}", statistic.mean);
}

std::vector<double> values_of(const TableEntry& entry,
                              std::size_t measure,
                              const std::vector<CellResult>& results) {
  std::vector<double> values;
  for (const std::size_t cell : entry.cells) {
    const CellResult& result = results[cell];
    if (result.status == CellStatus::kDone && result.values.at(measure)) {
      values.push_back(*result.values[measure]);
    }
  }
  return values;
}

Difference paired_difference(const SweepPlan& plan,
                             const std::vector<CellResult>& results,
                             const TableEntry& entry,
                             const TableEntry& base,
                             std::size_t measure) {
  const auto value_of = [&](std::size_t cell) {
    return results[cell].status == CellStatus::kDone ? results[cell].values.at(measure)
                                                     : std::nullopt;
  };
  const auto paired = [&](std::size_t a, std::size_t b) {
    return std::all_of(plan.average.begin(), plan.average.end(), [&](std::size_t axis) {
      return plan.cells[a].places[axis] == plan.cells[b].places[axis];
    });
  };
  std::vector<double> differences;
  for (const std::size_t cell : entry.cells) {
    for (const std::size_t other : base.cells) {
      if (paired(cell, other) && value_of(cell) && value_of(other)) {
        differences.push_back(*value_of(cell) - *value_of(other));
      }
    }
  }
  const Statistic statistic = statistic_of(differences);
  return {.pairs = statistic.count,
          .mean = statistic.mean,
          .standard_error = statistic.std / std::sqrt(static_cast<double>(
                                                std::max<std::size_t>(1, differences.size())))};
}

}  // namespace clausius
