// SPDX-License-Identifier: Apache-2.0
// Folding cells, and Markdown.
#include "train/sweep/sweep_table.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "train/sweep/sweep_statistics.h"

namespace clausius {
namespace {

std::size_t place_of(std::vector<std::vector<std::size_t>>& known, std::vector<std::size_t> key) {
  const auto found = std::find(known.begin(), known.end(), key);
  if (found != known.end()) {
    return static_cast<std::size_t>(found - known.begin());
  }
  known.push_back(std::move(key));
  return known.size() - 1;
}

// A list of texts as a line of a Markdown table.
std::string line(const std::vector<std::string>& fields) {
  std::string text = "|";
  for (const std::string& field : fields) {
    text += " ";
    for (const char c : field) {
      text += c == '|' ? std::string("\\|") : std::string(1, c);
    }
    text += " |";
  }
  return text + "\n";
}

std::string rule(std::size_t fields) {
  std::string text = "|";
  for (std::size_t i = 0; i < fields; ++i) {
    text += " --- |";
  }
  return text + "\n";
}

std::string joined(const SweepPlan& plan,
                   const std::vector<std::size_t>& axes,
                   const std::vector<std::size_t>& places) {
  std::string text;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    text += (text.empty() ? "" : ", ") + plan.axes[axes[i]].values[places[i]].label;
  }
  return text;
}

std::vector<std::string> row_labels(const SweepPlan& plan, const std::vector<std::size_t>& places) {
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < plan.rows.size(); ++i) {
    labels.push_back(plan.axes[plan.rows[i]].values[places[i]].label);
  }
  if (labels.empty()) {
    labels.emplace_back("all");
  }
  return labels;
}

std::vector<std::string> row_heads(const SweepPlan& plan) {
  std::vector<std::string> heads;
  for (const std::size_t axis : plan.rows) {
    heads.push_back(plan.axes[axis].name);
  }
  if (heads.empty()) {
    heads.emplace_back("");
  }
  return heads;
}

class MarkdownTable {
 public:
  MarkdownTable(const SweepPlan& plan, const std::vector<CellResult>& results)
      : plan_(plan), results_(results), table_(fold_cells(plan)) {}

  std::string write() const {
    std::string text = fmt::format("# {}\n\n{}", plan_.config.name, caption());
    const std::size_t measures = plan_.config.measure.size();
    if (plan_.columns.empty()) {
      text += "\n" + measures_table();
      const std::string differences = row_differences();
      if (!differences.empty()) {
        text += fmt::format("\nDifference to {}, paired, +- standard error:\n\n{}",
                            joined(plan_, plan_.rows, table_.rows.front()), differences);
      }
      return text;
    }
    for (std::size_t measure = 0; measure < measures; ++measure) {
      text += fmt::format("\n## {}\n\n{}", plan_.config.measure[measure].label(),
                          columns_table(measure));
      const std::string differences = column_differences(measure);
      if (!differences.empty()) {
        text += fmt::format("\nDifference to {}, paired, +- standard error:\n\n{}",
                            joined(plan_, plan_.columns, table_.columns.front()), differences);
      }
    }
    return text;
  }

 private:
  std::string caption() const {
    std::map<CellStatus, int> counts;
    for (const CellResult& result : results_) {
      ++counts[result.status];
    }
    std::string states;
    for (const auto& [status, count] : counts) {
      states += fmt::format("{}{} {}", states.empty() ? "" : ", ", count, name_of(status));
    }
    std::string averaged;
    for (const std::size_t axis : plan_.average) {
      averaged += (averaged.empty() ? "" : ", ") + plan_.axes[axis].name;
    }
    return fmt::format("{} cells: {}. {}in brackets the number of runs.\n", results_.size(), states,
                       averaged.empty()
                           ? std::string("Values; ")
                           : fmt::format("Mean +- standard deviation over {}; ", averaged));
  }

  std::string entry_text(std::size_t row, std::size_t column, std::size_t measure) const {
    const TableEntry* entry = table_.find(row, column);
    if (entry == nullptr) {
      return "";
    }
    const Statistic statistic = statistic_of(values_of(*entry, measure, results_));
    std::map<CellStatus, int> counts;
    for (const std::size_t cell : entry->cells) {
      ++counts[results_[cell].status];
    }
    std::string notes = std::to_string(statistic.count);
    const auto done = static_cast<std::size_t>(counts[CellStatus::kDone]);
    if (statistic.count < done) {
      notes += fmt::format(" of {}", done);
    }
    for (const auto& [status, count] : counts) {
      if (status != CellStatus::kDone && count > 0) {
        notes += fmt::format(", {} {}", count, name_of(status));
      }
    }
    return fmt::format("{} ({})", statistic.count > 0 ? to_text(statistic) : "-", notes);
  }

  std::string measures_table() const {
    std::vector<std::string> heads = row_heads(plan_);
    for (const Measure& measure : plan_.config.measure) {
      heads.push_back(measure.label());
    }
    std::string text = line(heads) + rule(heads.size());
    for (std::size_t row = 0; row < table_.rows.size(); ++row) {
      std::vector<std::string> fields = row_labels(plan_, table_.rows[row]);
      for (std::size_t measure = 0; measure < plan_.config.measure.size(); ++measure) {
        fields.push_back(entry_text(row, 0, measure));
      }
      text += line(fields);
    }
    return text;
  }

  std::string columns_table(std::size_t measure) const {
    std::vector<std::string> heads = row_heads(plan_);
    for (const std::vector<std::size_t>& column : table_.columns) {
      heads.push_back(joined(plan_, plan_.columns, column));
    }
    std::string text = line(heads) + rule(heads.size());
    for (std::size_t row = 0; row < table_.rows.size(); ++row) {
      std::vector<std::string> fields = row_labels(plan_, table_.rows[row]);
      for (std::size_t column = 0; column < table_.columns.size(); ++column) {
        fields.push_back(entry_text(row, column, measure));
      }
      text += line(fields);
    }
    return text;
  }

  // "" where fewer than two pairs are there.
  std::string difference_text(const TableEntry* entry,
                              const TableEntry* base,
                              std::size_t measure) const {
    if (entry == nullptr || base == nullptr) {
      return "";
    }
    const Difference difference = paired_difference(plan_, results_, *entry, *base, measure);
    return difference.pairs < 2 ? ""
                                : fmt::format("{:+.3g} +- {:.2g} ({})", difference.mean,
                                              difference.standard_error, difference.pairs);
  }

  std::string row_differences() const {
    std::vector<std::string> heads = row_heads(plan_);
    for (const Measure& measure : plan_.config.measure) {
      heads.push_back(measure.label());
    }
    std::string text = line(heads) + rule(heads.size());
    bool any = false;
    for (std::size_t row = 1; row < table_.rows.size(); ++row) {
      std::vector<std::string> fields = row_labels(plan_, table_.rows[row]);
      for (std::size_t measure = 0; measure < plan_.config.measure.size(); ++measure) {
        fields.push_back(difference_text(table_.find(row, 0), table_.find(0, 0), measure));
        any = any || !fields.back().empty();
      }
      text += line(fields);
    }
    return any ? text : "";
  }

  std::string column_differences(std::size_t measure) const {
    std::vector<std::string> heads = row_heads(plan_);
    for (std::size_t column = 1; column < table_.columns.size(); ++column) {
      heads.push_back(joined(plan_, plan_.columns, table_.columns[column]));
    }
    std::string text = line(heads) + rule(heads.size());
    bool any = false;
    for (std::size_t row = 0; row < table_.rows.size(); ++row) {
      std::vector<std::string> fields = row_labels(plan_, table_.rows[row]);
      for (std::size_t column = 1; column < table_.columns.size(); ++column) {
        fields.push_back(difference_text(table_.find(row, column), table_.find(row, 0), measure));
        any = any || !fields.back().empty();
      }
      text += line(fields);
    }
    return any ? text : "";
  }

  const SweepPlan& plan_;
  const std::vector<CellResult>& results_;
  SweepTable table_;
};

}  // namespace

std::string_view name_of(CellStatus status) {
  switch (status) {
    case CellStatus::kOpen:
      return "open";
    case CellStatus::kDone:
      return "done";
    case CellStatus::kDiverged:
      return "diverged";
    case CellStatus::kFailed:
      return "failed";
    case CellStatus::kInterrupted:
      return "interrupted";
  }
  return "";
}

const TableEntry* SweepTable::find(std::size_t row, std::size_t column) const {
  const auto entry = std::find_if(entries.begin(), entries.end(), [&](const TableEntry& candidate) {
    return candidate.row == row && candidate.column == column;
  });
  return entry == entries.end() ? nullptr : &*entry;
}

SweepTable fold_cells(const SweepPlan& plan) {
  SweepTable table;
  for (std::size_t number = 0; number < plan.cells.size(); ++number) {
    const auto select = [&](const std::vector<std::size_t>& axes) {
      std::vector<std::size_t> places;
      for (const std::size_t axis : axes) {
        places.push_back(plan.cells[number].places[axis]);
      }
      return places;
    };
    const std::size_t row = place_of(table.rows, select(plan.rows));
    const std::size_t column = place_of(table.columns, select(plan.columns));
    const auto entry = std::find_if(
        table.entries.begin(), table.entries.end(),
        [&](const TableEntry& known) { return known.row == row && known.column == column; });
    if (entry != table.entries.end()) {
      entry->cells.push_back(number);
    } else {
      table.entries.push_back({.row = row, .column = column, .cells = {number}});
    }
  }
  return table;
}

std::string to_markdown(const SweepPlan& plan, const std::vector<CellResult>& results) {
  return MarkdownTable(plan, results).write();
}

}  // namespace clausius
