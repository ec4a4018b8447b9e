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

struct HeadPlace {
  std::int64_t layer = 0;
  std::int64_t head = 0;
  bool operator==(const HeadPlace&) const = default;
};

struct HealthVerdict {
  std::vector<double> bands;        // share of heads per band, lowest first; empty without heads
  std::int64_t collapsed = 0;       // heads below collapse_below in this sample
  std::vector<std::string> active;  // alarms that are raised now
  std::vector<std::string>
      events;  // raised or cleared by this sample, the heads of one alarm in one line
  /// What stops the run by policy; empty: go on.
  std::string stop;
  /// What sends the run back to a checkpoint by policy; empty: go on.
  std::string rollback;
  /// The first step of the condition behind `rollback`: checkpoints of earlier steps know nothing of it.
  std::int64_t rollback_before = 0;
  /// Heads whose temperature is to be raised now.
  std::vector<HeadPlace> warmer;
};

/// What raise_temperature multiplies the temperature of a collapsed head by, each time.
inline constexpr double kTemperatureRaise = 1.5;

/// Judges every step by its loss and norms, and sampled ones by their heads. Every rank judges the same reduced numbers, so all come to
/// the same verdict.
class HealthMonitor {
 public:
  explicit HealthMonitor(MonitorConfig config);
  [[nodiscard]] HealthVerdict judge(const StepReport& report);
  [[nodiscard]] AlarmPolicy policy(Alarm alarm) const { return config_.policy(alarm); }
  /// What of a step, before its update, is a spike; empty: nothing. For the policy skip.
  [[nodiscard]] std::string spike_in(double loss, double grad_norm) const;

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
    std::int64_t since = 0;  // step of the first of the bad samples in a row
    std::string text;
  };
  /// What is compared with a limit: a head, or a quantity of the whole run.
  struct Finding {
    Alarm alarm = Alarm::kCollapse;
    std::string place;  // "layer 0 head 3", "loss"
    bool bad = false;
    std::string text;  // the finding with its numbers
    std::int64_t step = 0;
    HeadPlace head{-1, -1};  // of a head's finding
  };
  /// Running mean and variance of one quantity, forgetting over about 100 steps.
  struct Running {
    double mean = 0;
    double variance = 0;
    std::int64_t count = 0;

    /// Deviations above the mean; 0 until mean and variance have settled.
    [[nodiscard]] double deviations(double value) const;
    void absorb(double value);
  };

  /// Updates the track of a finding; a change is noted under its alarm. True while the alarm is raised.
  bool observe(const Finding& finding, HealthVerdict& verdict);
  void act(const Finding& finding, const Track& track, bool just_raised, HealthVerdict& verdict);
  void report_changes(HealthVerdict& verdict);
  void judge_heads(const StepReport& report, HealthVerdict& verdict);
  void judge_head(std::int64_t step,
                  HeadPlace place,
                  const HeadEntropy& head,
                  HealthVerdict& verdict);
  void judge_spike(const std::string& name,
                   double value,
                   std::int64_t step,
                   HealthVerdict& verdict);
  [[nodiscard]] std::vector<double> bands_of(const EntropyReport& report) const;

  MonitorConfig config_;
  std::map<std::string, Track> tracks_;
  std::map<std::string, Running> running_;
  std::map<std::string, std::vector<std::string>>
      changes_;  // "raised: overload" -> findings of this sample
};

}  // namespace clausius
