// SPDX-License-Identifier: Apache-2.0
// Health of a run: bands of head entropy, and alarms that are raised and cleared.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "train/monitor/monitor_config.h"
#include "train/step_report.h"

namespace clausius {

struct HealthVerdict {
  std::vector<double> bands;        // share of heads per band, lowest first; empty without heads
  std::vector<std::string> active;  // alarms that are raised now
  std::vector<std::string>
      events;  // raised or cleared by this sample, the heads of one alarm in one line
  /// What stopped the run by policy; empty: go on.
  std::string stop;
};

/// Judges sampled steps. Every rank judges the same reduced numbers, so all come to the same verdict.
class HealthMonitor {
 public:
  explicit HealthMonitor(MonitorConfig config);
  [[nodiscard]] HealthVerdict judge(const StepReport& report);
  /// What to do about loss or gradients that are not finite: stop unless the recipe names another policy.
  [[nodiscard]] AlarmPolicy policy(Alarm alarm) const;

  /// Counters, raised alarms and running means, as JSON: a checkpoint keeps them, so that a resumed run judges like one that never
  /// stopped.
  [[nodiscard]] std::string state() const;
  /// Errors: DataError for a text that state() did not write.
  void restore(std::string_view state);

 private:
  struct Track {
    std::int64_t bad = 0;   // samples in a row with the condition
    std::int64_t good = 0;  // and without it
    bool raised = false;
    std::string text;
  };
  /// What is compared with a limit: a head, or a quantity of the whole run.
  struct Finding {
    Alarm alarm = Alarm::kCollapse;
    std::string place;  // "layer 0 head 3", "loss"
    bool bad = false;
    std::string text;  // the finding with its numbers
  };
  /// Running mean and variance of one quantity, forgetting over about 100 samples.
  struct Running {
    double mean = 0;
    double variance = 0;
    std::int64_t count = 0;
  };

  /// Updates the track of a finding; a change is noted under its alarm.
  void observe(const Finding& finding, HealthVerdict& verdict);
  void report_changes(HealthVerdict& verdict);
  void judge_heads(const StepReport& report, HealthVerdict& verdict);
  void judge_spike(const std::string& name, double value, HealthVerdict& verdict);
  [[nodiscard]] std::vector<double> bands_of(const EntropyReport& report) const;

  MonitorConfig config_;
  std::map<std::string, Track> tracks_;
  std::map<std::string, Running> running_;
  std::map<std::string, std::vector<std::string>>
      changes_;  // "raised: overload" -> findings of this sample
};

}  // namespace clausius
