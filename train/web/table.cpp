// SPDX-License-Identifier: Apache-2.0
// Table.
#include "train/web/table.h"

#include <limits>

namespace clausius::web {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// A line with thousands of numbers by name is no line of ours.
constexpr std::size_t kMostColumns = 2000;

}  // namespace

void Table::add(std::int64_t step, const std::vector<std::pair<std::string, double>>& row) {
  for (const auto& [name, value] : row) {
    auto column = columns_.find(name);
    if (column == columns_.end() && columns_.size() < kMostColumns) {
      column = columns_.emplace(name, std::vector<double>()).first;
    }
    if (column != columns_.end()) {
      column->second.resize(steps_.size(), kNan);
      column->second.push_back(value);
    }
  }
  steps_.push_back(step);
  for (auto& [name, column] : columns_) {
    column.resize(steps_.size(), kNan);
  }
}

bool Table::drop_later(std::int64_t step) {
  const std::size_t before = steps_.size();
  while (!steps_.empty() && steps_.back() > step) {
    steps_.pop_back();
  }
  for (auto& [name, column] : columns_) {
    column.resize(steps_.size());
  }
  return steps_.size() < before;
}

double Table::last(std::string_view column) const {
  const auto found = columns_.find(column);
  return found == columns_.end() || found->second.empty() ? kNan : found->second.back();
}

Bins<double> Table::binned() const {
  Bins<double> bins(columns_.size());
  std::vector<double> row(columns_.size());
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    auto value = row.begin();
    for (const auto& [name, column] : columns_) {
      *value++ = column[i];
    }
    bins.add(steps_[i], row);
  }
  return bins;
}

}  // namespace clausius::web
