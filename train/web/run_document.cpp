// SPDX-License-Identifier: Apache-2.0
// RunView::document: a run as the page takes it.
#include <algorithm>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "train/web/packing.h"
#include "train/web/run_view.h"

namespace clausius::web {
namespace {

// More would only hide each other; the page says how many were left out.
constexpr std::size_t kMostEvents = 1000;

Json integers(const std::vector<std::int64_t>& values, std::size_t first = 0) {
  return {Json::Array(values.begin() + static_cast<std::ptrdiff_t>(first), values.end())};
}

// The last of the bins that the page has may have grown; what lies before it has not.
template <class T>
std::size_t first_lacking(const Have& have, std::int64_t epoch, const Bins<T>& bins) {
  const bool fits = have.epoch == epoch && have.stride == bins.stride() && have.bins > 0 &&
                    have.bins <= static_cast<std::int64_t>(bins.size());
  return fits ? static_cast<std::size_t>(have.bins - 1) : 0;
}

template <class T>
Json bins_head(std::int64_t epoch, const Bins<T>& bins, std::size_t first) {
  Json document;
  document.set("epoch", epoch);
  document.set("stride", bins.stride());
  document.set("rows", bins.rows());
  document.set("first", static_cast<std::int64_t>(first));
  document.set("steps", integers(bins.steps(), first));
  return document;
}

// Column `index` of rows of `width` numbers.
std::string pack_column(std::span<const double> rows, std::size_t width, std::size_t index) {
  std::vector<double> column;
  for (std::size_t place = index; place < rows.size(); place += width) {
    column.push_back(rows[place]);
  }
  return pack_f64(column);
}

Json samples_document(const Table& table, std::int64_t epoch, const Have& have) {
  const Bins<double> bins = table.binned();
  const std::size_t first = first_lacking(have, epoch, bins);
  Json columns{Json::Object{}};
  std::size_t index = 0;
  for (const auto& [name, values] : table.columns()) {
    Json column;
    column.set("value", pack_column(bins.values(first), bins.width(), index));
    if (bins.stride() > 1) {
      column.set("low", pack_column(bins.low(first), bins.width(), index));
      column.set("high", pack_column(bins.high(first), bins.width(), index));
    }
    columns.set(name, column);
    ++index;
  }
  Json document = bins_head(epoch, bins, first);
  document.set("columns", columns);
  return document;
}

Json evaluations_document(const Table& table) {
  Json columns{Json::Object{}};
  for (const auto& [name, values] : table.columns()) {
    columns.set(name, Json::Array(values.begin(), values.end()));
  }
  Json document;
  document.set("steps", integers(table.steps()));
  document.set("columns", columns);
  return document;
}

Json measure_document(const HeadMeasure& measure, std::size_t first) {
  const Bins<float>& bins = measure.bins;
  const Range low = range_of(bins.low(first));
  const Range high = range_of(bins.high(first));
  const Range range{std::min(low.low, high.low), std::max(low.high, high.high)};
  Json document;
  document.set("layers", measure.layers);
  document.set("heads", measure.heads);
  document.set("range", Json::Array{range.low, range.high});
  document.set("value", pack<std::uint16_t>(bins.values(first), range));
  if (bins.stride() > 1) {
    document.set("low", pack<std::uint8_t>(bins.low(first), range));
    document.set("high", pack<std::uint8_t>(bins.high(first), range));
  }
  return document;
}

Json heads_document(const HeadHistory& heads, const Have& have) {
  if (heads.rows() == 0) {
    return {};
  }
  const Bins<float>& bins = heads.measures()[0].bins;
  const std::size_t first = first_lacking(have, heads.epoch(), bins);
  Json measures{Json::Object{}};
  for (const HeadMeasure& measure : heads.measures()) {
    measures.set(measure.name, measure_document(measure, first));
  }
  Json document = bins_head(heads.epoch(), bins, first);
  document.set("heads_per_layer", integers(heads.heads_per_layer()));
  document.set("measures", measures);
  return document;
}

Json events_document(const std::vector<RunEvent>& events) {
  Json::Array list;
  const std::size_t first = events.size() - std::min(events.size(), kMostEvents);
  for (std::size_t i = first; i < events.size(); ++i) {
    list.emplace_back(Json::Array{events[i].step, events[i].event, events[i].message});
  }
  return {std::move(list)};
}

Json facts_document(const RunFacts& facts) {
  Json document;
  document.set("directory", facts.directory);
  document.set("total_steps", facts.total_steps);
  document.set("collapse_below", facts.monitor.collapse_below);
  document.set("overload_above", facts.monitor.overload_above);
  document.set("bands", Json::Array(facts.monitor.bands.begin(), facts.monitor.bands.end()));
  document.set("recipe", facts.recipe);
  return document;
}

}  // namespace

Json RunView::document(const Have& samples, const Have& heads) const {
  Json document;
  document.set("facts", facts_document(facts_));
  document.set("last_wall_time", last_wall_time_);
  document.set("problem", problem_);
  document.set("bad_lines", bad_lines_);
  document.set("alarms", Json::Array(alarms_.begin(), alarms_.end()));
  document.set("events", events_document(events_));
  document.set("num_events", static_cast<std::int64_t>(events_.size()));
  document.set("evaluations", evaluations_document(evaluations_));
  document.set("samples", samples_document(samples_, sample_epoch_, samples));
  document.set("heads", heads_document(heads_, heads));
  return document;
}

}  // namespace clausius::web
