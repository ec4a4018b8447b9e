// SPDX-License-Identifier: Apache-2.0
// The results of a sweep: cells folded into means, as text and as data.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "train/sweep/sweep_plan.h"

namespace clausius {

enum class CellStatus {
  kOpen,         // has not run, or not to its end
  kDone,         //
  kDiverged,     // a guard stopped it: exit code 4
  kFailed,       // any other exit code
  kInterrupted,  // stopped by a signal; goes on when the sweep does
};
[[nodiscard]] std::string_view name_of(CellStatus status);

struct CellResult {
  CellStatus status = CellStatus::kOpen;
  int exit_code = 0;
  double seconds = 0;
  /// By measure; of cells that are done.
  std::vector<std::optional<double>> values{};
};

struct Statistic {
  std::size_t count = 0;
  double mean = 0;
  double std = 0;  // of a sample; 0 for fewer than two
};
[[nodiscard]] Statistic statistic_of(const std::vector<double>& values);

/// "1.171 +- 0.053".
[[nodiscard]] std::string to_text(const Statistic& statistic);

/// One place of the table: the cells that differ by averaged axes alone.
struct TableEntry {
  std::size_t row = 0;
  std::size_t column = 0;
  std::vector<std::size_t> cells;  // by number
};

/// Places of the table. Rows and columns are the combinations of their axes that occur, in the order of the cells.
struct SweepTable {
  std::vector<std::vector<std::size_t>> rows;     // a value for each row axis
  std::vector<std::vector<std::size_t>> columns;  // likewise
  std::vector<TableEntry> entries;

  [[nodiscard]] const TableEntry* find(std::size_t row, std::size_t column) const;
};
[[nodiscard]] SweepTable fold_cells(const SweepPlan& plan);

/// Markdown: for each measure mean +- standard deviation and the number of runs; where there are two runs or more, the differences to
/// the first column (without columns: row), paired by the averaged axes, with their standard errors.
[[nodiscard]] std::string to_markdown(const SweepPlan& plan,
                                      const std::vector<CellResult>& results);

/// Everything: axes, cells with their values, entries with their statistics and differences.
[[nodiscard]] Json to_json(const SweepPlan& plan, const std::vector<CellResult>& results);

/// One line a cell: its axes, status, seconds and measures.
[[nodiscard]] std::string to_csv(const SweepPlan& plan, const std::vector<CellResult>& results);

}  // namespace clausius
