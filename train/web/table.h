// SPDX-License-Identifier: Apache-2.0
// A table of a run that grows by a row a step: named columns that may begin late, and a past that a resumed run takes back.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "train/web/bins.h"

namespace clausius::web {

class Table {
 public:
  /// Columns that the row does not name get NaN.
  void add(std::int64_t step, const std::vector<std::pair<std::string, double>>& row);
  /// Forgets the rows after `step`; true when there were any.
  bool drop_later(std::int64_t step);

  [[nodiscard]] std::size_t rows() const { return steps_.size(); }
  [[nodiscard]] const std::vector<std::int64_t>& steps() const { return steps_; }
  [[nodiscard]] const std::map<std::string, std::vector<double>, std::less<>>& columns() const {
    return columns_;
  }
  /// The value of the last row; NaN without one.
  [[nodiscard]] double last(std::string_view column) const;
  /// All columns, in the order of columns().
  [[nodiscard]] Bins<double> binned() const;

 private:
  std::vector<std::int64_t> steps_;
  std::map<std::string, std::vector<double>, std::less<>> columns_;
};

}  // namespace clausius::web
