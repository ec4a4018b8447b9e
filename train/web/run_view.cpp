// SPDX-License-Identifier: Apache-2.0
// RunView: reading the files of a run.
#include "train/web/run_view.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/config_file.h"
#include "core/error.h"
#include "core/io/file.h"

namespace clausius::web {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// Names that metrics.jsonl gives to what entropy.h5 calls otherwise.
constexpr std::pair<std::string_view, std::string_view> kTableNames[] = {
    {"entropy_mean", "entropy_nats"}};

std::string measure_name(std::string_view key) {
  for (const auto& [in_metrics, in_file] : kTableNames) {
    if (key == in_metrics) {
      return std::string(in_file);
    }
  }
  return std::string(key);
}

const Json* find(const Json& document, std::string_view section, std::string_view key) {
  const Json* const found = document.is_object() ? document.find(section) : nullptr;
  return found != nullptr && found->is_object() ? found->find(key) : nullptr;
}

// Without the schema: a run of another version has keys that this one does not know, and is shown all the same.
void read_facts(const Json& recipe, RunFacts& facts) {
  facts.total_steps = 0;
  facts.monitor = {};
  if (const Json* steps = find(recipe, "train", "steps"); steps != nullptr && steps->is_integer()) {
    facts.total_steps = steps->integer();
  }
  for (const auto& [key, value] : {std::pair("collapse_below", &facts.monitor.collapse_below),
                                   std::pair("overload_above", &facts.monitor.overload_above)}) {
    if (const Json* given = find(recipe, "monitor", key); given != nullptr && given->is_number()) {
      *value = given->number();
    }
  }
  if (const Json* bands = find(recipe, "monitor", "bands"); bands != nullptr && bands->is_array()) {
    facts.monitor.bands.clear();
    for (const Json& border : bands->array()) {
      facts.monitor.bands.push_back(border.is_number() ? border.number() : 0);
    }
  }
}

}  // namespace

RunView::RunView(const std::filesystem::path& directory)
    : files_{.directory = std::filesystem::absolute(directory).lexically_normal()},
      tail_(files_.metrics()),
      last_wall_time_(kNan),
      last_sample_time_(kNan) {
  facts_.directory = directory.string();
}

void RunView::clear() {
  samples_ = {};
  evaluations_ = {};
  events_.clear();
  alarms_.clear();
  table_steps_.clear();
  tables_.clear();
  tables_changed_ = true;
  last_wall_time_ = kNan;
  last_sample_time_ = kNan;
  usual_interval_ = 0;
  bad_lines_ = 0;
  ++sample_epoch_;
}

bool RunView::refresh() {
  bool changed = false;
  std::string problem;
  // A file that another process is writing or replacing may be unreadable for a moment: what is known stays, and it is tried again.
  for (bool (RunView::*const read)() : {&RunView::read_recipe, &RunView::read_entropy_file,
                                        &RunView::read_metrics, &RunView::take_tables}) {
    try {
      changed = (this->*read)() || changed;
    } catch (const Error& error) {
      problem += (problem.empty() ? "" : "; ") + std::string(error.what());
    }
  }
  changed = changed || problem != problem_;
  problem_ = problem;
  return changed;
}

bool RunView::read_recipe() {
  const std::optional<FileSignature> now = signature_of(files_.recipe());
  if (!now || now == recipe_seen_) {
    return false;
  }
  recipe_seen_ = now;  // a recipe that cannot be read is told once, not at every look
  facts_.recipe = read_file(files_.recipe());
  read_facts(to_json(load_config(files_.recipe())), facts_);
  return true;
}

bool RunView::read_metrics() {
  bool changed = false;
  for (;;) {
    const FileTail::Lines lines = tail_.read();
    if (lines.restarted) {
      clear();
      changed = true;
    }
    if (lines.text.empty()) {
      return changed;
    }
    changed = true;
    std::size_t begin = 0;
    for (std::size_t end = lines.text.find('\n'); end != std::string::npos;
         begin = end + 1, end = lines.text.find('\n', begin)) {
      add_line(std::string_view(lines.text).substr(begin, end - begin));
    }
  }
}

// Before the metrics, whose tables are then only skipped.
bool RunView::read_entropy_file() {
  const bool changed = heads_.read(files_.entropy());
  if (changed && heads_.rows() > 0) {
    heads_from_file_ = true;
    table_steps_.clear();
    tables_.clear();
  }
  return changed;
}

bool RunView::take_tables() {
  if (heads_from_file_ || !tables_changed_) {
    return false;
  }
  tables_changed_ = false;
  heads_.take(table_steps_, tables_);
  return true;
}

void RunView::forget_later(std::int64_t step) {
  if (samples_.drop_later(step)) {
    ++sample_epoch_;
  }
  evaluations_.drop_later(step);
  while (!events_.empty() && events_.back().step > step) {
    events_.pop_back();
  }
  while (!table_steps_.empty() && table_steps_.back() > step) {
    table_steps_.pop_back();
    tables_changed_ = true;
  }
  for (auto& [name, rows] : tables_) {
    rows.resize(table_steps_.size());
  }
}

void RunView::add_line(std::string_view text) {
  const std::optional<MetricLine> line = read_metric_line(text);
  if (!line) {
    ++bad_lines_;
    return;
  }
  forget_later(line->step);
  const double wall_time = line->number("wall_time");
  if (!std::isnan(wall_time)) {
    last_wall_time_ = wall_time;
  }
  if (!line->event.empty()) {
    events_.push_back({line->step, line->event, line->message});
    return;
  }
  std::vector<std::pair<std::string, double>> row = line->numbers;
  const auto has = [&](std::string_view key) {
    return std::any_of(row.begin(), row.end(), [&](const auto& n) { return n.first == key; });
  };
  if (has("val_loss")) {
    std::erase_if(row, [](const auto& n) { return n.first == "wall_time"; });
    evaluations_.add(line->step, row);
    return;
  }
  if (!has("loss")) {
    return;
  }
  add_sample(*line, row);
  if (!heads_from_file_) {
    keep_tables(*line);
  }
}

void RunView::add_sample(const MetricLine& line,
                         const std::vector<std::pair<std::string, double>>& row) {
  if (!std::isnan(last_wall_time_ - last_sample_time_)) {
    usual_interval_ = std::max(last_wall_time_ - last_sample_time_, 0.8 * usual_interval_);
  }
  last_sample_time_ = last_wall_time_;
  const std::size_t columns = samples_.columns().size();
  samples_.add(line.step, row);
  if (samples_.columns().size() != columns) {
    ++sample_epoch_;
  }
  alarms_ = line.alarms;
}

void RunView::keep_tables(const MetricLine& line) {
  for (const auto& [key, text] : line.tables) {
    std::vector<HeadTable>& rows = tables_[measure_name(key)];
    rows.resize(table_steps_.size());
    rows.push_back(read_head_table(Json::parse(text, files_.metrics().string())));
  }
  table_steps_.push_back(line.step);
  for (auto& [name, rows] : tables_) {
    rows.resize(table_steps_.size());
  }
  tables_changed_ = true;
}

std::string RunView::status(double now) const {
  if (std::isnan(last_wall_time_)) {
    return "waiting";
  }
  const std::string last = events_.empty() ? std::string() : events_.back().event;
  const bool is_last =
      !events_.empty() && (samples_.rows() == 0 || events_.back().step >= samples_.steps().back());
  if (is_last && (last == "end" || last == "signal")) {
    return last == "end" ? "ended" : "stopped";
  }
  return now - last_wall_time_ > 30 + 4 * usual_interval_ ? "silent" : "running";
}

}  // namespace clausius::web
