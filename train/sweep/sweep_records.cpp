// SPDX-License-Identifier: Apache-2.0
// Results of a sweep for other programs: JSON and CSV.
#include <algorithm>

#include <fmt/format.h>

#include "train/sweep/sweep_statistics.h"

namespace clausius {
namespace {

Json axes_json(const SweepPlan& plan) {
  Json axes(Json::Array{});
  for (const SweepAxis& axis : plan.axes) {
    Json values(Json::Array{});
    for (const AxisValue& value : axis.values) {
      values.push(value.label);
    }
    Json one;
    one.set("name", axis.name);
    one.set("values", std::move(values));
    axes.push(std::move(one));
  }
  return axes;
}

Json labels_json(const SweepPlan& plan,
                 const std::vector<std::size_t>& axes,
                 const std::vector<std::size_t>& places) {
  Json labels(Json::Object{});
  for (std::size_t i = 0; i < axes.size(); ++i) {
    labels.set(plan.axes[axes[i]].name, plan.axes[axes[i]].values[places[i]].label);
  }
  return labels;
}

Json cell_json(const SweepPlan& plan, const SweepCell& cell, const CellResult& result) {
  Json json;
  json.set("name", cell.name);
  Json axes(Json::Object{});
  for (std::size_t axis = 0; axis < plan.axes.size(); ++axis) {
    axes.set(plan.axes[axis].name, plan.axes[axis].values[cell.places[axis]].label);
  }
  json.set("axes", std::move(axes));
  json.set("status", name_of(result.status));
  json.set("exit_code", result.exit_code);
  json.set("seconds", result.seconds);
  Json values(Json::Object{});
  for (std::size_t i = 0; i < result.values.size(); ++i) {
    values.set(plan.config.measure[i].label(), result.values[i] ? Json(*result.values[i]) : Json());
  }
  json.set("values", std::move(values));
  return json;
}

Json statistic_json(const Statistic& statistic) {
  Json json;
  json.set("n", static_cast<std::int64_t>(statistic.count));
  json.set("mean", statistic.count > 0 ? Json(statistic.mean) : Json());
  json.set("std", statistic.count > 1 ? Json(statistic.std) : Json());
  return json;
}

Json entry_json(const SweepPlan& plan,
                const std::vector<CellResult>& results,
                const SweepTable& table,
                const TableEntry& entry) {
  Json json;
  json.set("row", labels_json(plan, plan.rows, table.rows[entry.row]));
  json.set("column", labels_json(plan, plan.columns, table.columns[entry.column]));
  for (const CellStatus status : {CellStatus::kDone, CellStatus::kDiverged, CellStatus::kFailed}) {
    json.set(name_of(status),
             std::count_if(entry.cells.begin(), entry.cells.end(),
                           [&](std::size_t cell) { return results[cell].status == status; }));
  }
  Json measures(Json::Object{});
  const bool by_row = plan.columns.empty();
  const TableEntry* base = by_row ? table.find(0, 0) : table.find(entry.row, 0);
  const bool is_base = base == &entry;
  for (std::size_t i = 0; i < plan.config.measure.size(); ++i) {
    Json measure = statistic_json(statistic_of(values_of(entry, i, results)));
    if (base != nullptr && !is_base) {
      const Difference difference = paired_difference(plan, results, entry, *base, i);
      Json paired;
      paired.set("n", static_cast<std::int64_t>(difference.pairs));
      paired.set("mean", difference.pairs > 0 ? Json(difference.mean) : Json());
      paired.set("standard_error", difference.pairs > 1 ? Json(difference.standard_error) : Json());
      measure.set("difference", std::move(paired));
    }
    measures.set(plan.config.measure[i].label(), std::move(measure));
  }
  json.set("measures", std::move(measures));
  return json;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  }
  return quoted + "\"";
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::string text;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    text += (i == 0 ? "" : ",") + csv_field(fields[i]);
  }
  return text + "\n";
}

}  // namespace

Json to_json(const SweepPlan& plan, const std::vector<CellResult>& results) {
  Json json;
  json.set("name", plan.config.name);
  json.set("axes", axes_json(plan));
  Json cells(Json::Array{});
  for (std::size_t i = 0; i < plan.cells.size(); ++i) {
    cells.push(cell_json(plan, plan.cells[i], results[i]));
  }
  json.set("cells", std::move(cells));
  const SweepTable table = fold_cells(plan);
  Json entries(Json::Array{});
  for (const TableEntry& entry : table.entries) {
    entries.push(entry_json(plan, results, table, entry));
  }
  json.set("entries", std::move(entries));
  return json;
}

std::string to_csv(const SweepPlan& plan, const std::vector<CellResult>& results) {
  std::vector<std::string> heads = {"cell"};
  for (const SweepAxis& axis : plan.axes) {
    heads.push_back(axis.name);
  }
  heads.insert(heads.end(), {"status", "exit_code", "seconds"});
  for (const Measure& measure : plan.config.measure) {
    heads.push_back(measure.label());
  }
  std::string text = csv_line(heads);
  for (std::size_t i = 0; i < plan.cells.size(); ++i) {
    std::vector<std::string> fields = {plan.cells[i].name};
    for (std::size_t axis = 0; axis < plan.axes.size(); ++axis) {
      fields.push_back(plan.axes[axis].values[plan.cells[i].places[axis]].label);
    }
    fields.emplace_back(name_of(results[i].status));
    fields.push_back(std::to_string(results[i].exit_code));
    fields.push_back(fmt::format("{:.1f}", results[i].seconds));
    for (std::size_t m = 0; m < plan.config.measure.size(); ++m) {
      const bool has_value = m < results[i].values.size() && results[i].values[m];
      fields.push_back(has_value ? fmt::format("{}", *results[i].values[m]) : "");
    }
    text += csv_line(fields);
  }
  return text;
}

}  // namespace clausius
