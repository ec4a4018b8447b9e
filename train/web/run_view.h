// SPDX-License-Identifier: Apache-2.0
// One run as the page shows it, followed through the files of its directory while it is going, stopped, killed or resumed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "train/monitor/monitor_config.h"
#include "train/run_directory.h"
#include "train/web/file_tail.h"
#include "train/web/head_history.h"
#include "train/web/metric_line.h"
#include "train/web/table.h"

namespace clausius::web {

/// What a page already has of a table: the first `bins` bins at this stride, in this epoch.
struct Have {
  std::int64_t epoch = -1;
  std::int64_t stride = 0;
  std::int64_t bins = 0;
};

/// What the recipe says that the page needs.
struct RunFacts {
  std::string directory;         // as it was given: a report that is passed on need not tell more
  std::int64_t total_steps = 0;  // 0: not known
  std::string recipe;            // its text
  MonitorConfig monitor;
};

struct RunEvent {
  std::int64_t step = 0;
  std::string event;
  std::string message;
};

/// Reads only; never writes into the directory, takes no lock.
class RunView {
 public:
  explicit RunView(const std::filesystem::path& directory);

  /// Reads what is new. Value: whether anything changed. What cannot be read now is told by problem() and tried again next time.
  bool refresh();

  /// The run for the page: facts, events, evaluations, and of samples and heads the bins that the page lacks (docs/design/009).
  [[nodiscard]] Json document(const Have& samples = {}, const Have& heads = {}) const;

  [[nodiscard]] const RunFiles& files() const { return files_; }
  [[nodiscard]] const RunFacts& facts() const { return facts_; }
  [[nodiscard]] const Table& samples() const { return samples_; }
  [[nodiscard]] const Table& evaluations() const { return evaluations_; }
  [[nodiscard]] const std::vector<RunEvent>& events() const { return events_; }
  [[nodiscard]] const std::vector<std::string>& alarms() const { return alarms_; }
  [[nodiscard]] const HeadHistory& heads() const { return heads_; }
  /// Unix seconds of the last line; NaN before the first.
  [[nodiscard]] double last_wall_time() const { return last_wall_time_; }
  /// waiting (no line yet), running, ended, stopped (by a signal or a guard), or silent: running, but without a line for longer than
  /// its lines are usually apart.
  [[nodiscard]] std::string status(double now) const;
  /// Why a file could not be read at the last refresh; empty: all was well.
  [[nodiscard]] const std::string& problem() const { return problem_; }
  /// Whole lines of metrics.jsonl that are no such lines, passed over.
  [[nodiscard]] std::int64_t bad_lines() const { return bad_lines_; }

 private:
  void clear();
  bool read_recipe();
  bool read_metrics();
  bool read_entropy_file();
  bool take_tables();
  void add_line(std::string_view text);
  void add_sample(const MetricLine& line, const std::vector<std::pair<std::string, double>>& row);
  void keep_tables(const MetricLine& line);
  void forget_later(std::int64_t step);

  RunFiles files_;
  FileTail tail_;
  RunFacts facts_;
  std::optional<FileSignature> recipe_seen_;
  Table samples_;
  Table evaluations_;
  std::vector<RunEvent> events_;
  std::vector<std::string> alarms_;
  HeadHistory heads_;
  bool heads_from_file_ = false;
  // Tables of metrics.jsonl, kept while there is no entropy.h5 with rows.
  std::vector<std::int64_t> table_steps_;
  std::map<std::string, std::vector<HeadTable>> tables_;
  bool tables_changed_ = false;
  double last_wall_time_;
  double usual_interval_ = 0;  // seconds between lines of samples
  double last_sample_time_;
  std::int64_t sample_epoch_ = 0;
  std::int64_t bad_lines_ = 0;
  std::string problem_;
};

}  // namespace clausius::web
