// SPDX-License-Identifier: Apache-2.0
// Bands and alarms.
#include "train/monitor/health.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/io/json.h"

namespace clausius {
namespace {

// A z-score means little before its mean and variance have settled.
constexpr std::int64_t kSettled = 20;
constexpr double kForget = 0.02;

}  // namespace

HealthMonitor::HealthMonitor(MonitorConfig config) : config_(std::move(config)) {}

AlarmPolicy HealthMonitor::policy(Alarm alarm) const {
  if (const auto* all = std::get_if<AlarmPolicy>(&config_.on_alarm)) {
    return alarm == Alarm::kNonfinite ? AlarmPolicy::kStop : *all;
  }
  const auto& named = std::get<std::map<Alarm, AlarmPolicy>>(config_.on_alarm);
  const auto found = named.find(alarm);
  if (found != named.end()) {
    return found->second;
  }
  return alarm == Alarm::kNonfinite ? AlarmPolicy::kStop : AlarmPolicy::kLog;
}

HealthVerdict HealthMonitor::judge(const StepReport& report) {
  HealthVerdict verdict;
  verdict.bands = bands_of(report.entropy);
  judge_heads(report, verdict);
  if (config_.spike_above) {
    judge_spike("loss", report.loss, verdict);
    judge_spike("gradient norm", report.grad_norm, verdict);
    judge_spike("update norm", report.update_norm, verdict);
  }
  report_changes(verdict);
  for (const auto& [key, track] : tracks_) {
    if (track.raised) {
      verdict.active.push_back(track.text);
    }
  }
  return verdict;
}

void HealthMonitor::observe(const Finding& finding, HealthVerdict& verdict) {
  const std::string name(word_of(finding.alarm));
  Track& track = tracks_[name + " " + finding.place];
  track.bad = finding.bad ? track.bad + 1 : 0;
  track.good = finding.bad ? 0 : track.good + 1;
  if (finding.bad) {
    track.text = fmt::format("{}: {}: {}", name, finding.place, finding.text);
  }
  if (!track.raised && track.bad >= config_.alarm_after) {
    track.raised = true;
    changes_["raised: " + name].push_back(finding.place + ": " + finding.text);
    if (policy(finding.alarm) == AlarmPolicy::kStop && verdict.stop.empty()) {
      verdict.stop = track.text;
    }
  } else if (track.raised && track.good >= config_.alarm_after) {
    track.raised = false;
    changes_["cleared: " + name].push_back(finding.place);
  }
}

void HealthMonitor::report_changes(HealthVerdict& verdict) {
  for (const auto& [change, findings] : changes_) {
    const std::string more =
        findings.size() > 1 ? fmt::format(", and {} more", findings.size() - 1) : "";
    verdict.events.push_back(fmt::format("{}: {}{}", change, findings.front(), more));
  }
  changes_.clear();
}

void HealthMonitor::judge_heads(const StepReport& report, HealthVerdict& verdict) {
  for (std::size_t layer = 0; layer < report.entropy.size(); ++layer) {
    for (std::size_t h = 0; h < report.entropy[layer].size(); ++h) {
      const HeadEntropy& head = report.entropy[layer][h];
      const std::string place = fmt::format("layer {} head {}", layer, h);
      observe({.alarm = Alarm::kCollapse,
               .place = place,
               .bad = head.entropy_normalized < config_.collapse_below,
               .text = fmt::format("normalised entropy {:.4f} below {}", head.entropy_normalized,
                                   config_.collapse_below)},
              verdict);
      observe({.alarm = Alarm::kOverload,
               .place = place,
               .bad = head.entropy_normalized > config_.overload_above,
               .text = fmt::format("normalised entropy {:.4f} above {}", head.entropy_normalized,
                                   config_.overload_above)},
              verdict);
      if (config_.logit_above) {
        observe({.alarm = Alarm::kLogit,
                 .place = place,
                 .bad = head.max_logit > *config_.logit_above,
                 .text = fmt::format("largest logit {:.2f} above {}", head.max_logit,
                                     *config_.logit_above)},
                verdict);
      }
    }
  }
}

void HealthMonitor::judge_spike(const std::string& name, double value, HealthVerdict& verdict) {
  if (!std::isfinite(value)) {
    return;
  }
  Running& running = running_[name];
  const double deviation = std::sqrt(running.variance);
  const bool settled = running.count >= kSettled && deviation > 0;
  const double z = settled ? (value - running.mean) / deviation : 0.0;
  observe({.alarm = Alarm::kSpike,
           .place = name,
           .bad = z > *config_.spike_above,
           .text = fmt::format("{:.4g} is {:.1f} deviations above its mean {:.4g}", value, z,
                               running.mean)},
          verdict);
  // An exponential window that starts as a plain average.
  const double share = std::max(kForget, 1.0 / static_cast<double>(running.count + 1));
  const double step = value - running.mean;
  running.mean += share * step;
  running.variance = (1.0 - share) * (running.variance + share * step * step);
  ++running.count;
}

std::vector<double> HealthMonitor::bands_of(const EntropyReport& report) const {
  double largest = 0;
  double heads = 0;
  for (const std::vector<HeadEntropy>& layer : report) {
    for (const HeadEntropy& head : layer) {
      largest = std::max(largest, head.entropy_nats);
      heads += 1;
    }
  }
  if (heads == 0) {
    return {};
  }
  std::vector<double> shares(config_.bands.size() + 1, 0.0);
  for (const std::vector<HeadEntropy>& layer : report) {
    for (const HeadEntropy& head : layer) {
      const double observed = largest > 0 ? head.entropy_nats / largest : 0.0;
      const double value =
          config_.band_reference == BandReference::kObserved ? observed : head.entropy_normalized;
      const auto band = std::upper_bound(config_.bands.begin(), config_.bands.end(), value) -
                        config_.bands.begin();
      shares[static_cast<std::size_t>(band)] += 1.0 / heads;
    }
  }
  return shares;
}

std::string HealthMonitor::state() const {
  Json tracks{Json::Object{}};
  for (const auto& [key, track] : tracks_) {
    Json entry;
    entry.set("bad", track.bad);
    entry.set("good", track.good);
    entry.set("raised", track.raised);
    entry.set("text", track.text);
    tracks.set(key, entry);
  }
  Json running{Json::Object{}};
  for (const auto& [name, values] : running_) {
    Json entry;
    entry.set("mean", values.mean);
    entry.set("variance", values.variance);
    entry.set("count", values.count);
    running.set(name, entry);
  }
  Json state;
  state.set("tracks", tracks);
  state.set("running", running);
  return state.dump();
}

void HealthMonitor::restore(std::string_view state) {
  const Json root = Json::parse(state, "health");
  tracks_.clear();
  for (const auto& [key, entry] : root.at("tracks").object()) {
    tracks_[key] = {.bad = entry.at("bad").integer(),
                    .good = entry.at("good").integer(),
                    .raised = entry.at("raised").flag(),
                    .text = entry.at("text").text()};
  }
  running_.clear();
  for (const auto& [name, entry] : root.at("running").object()) {
    running_[name] = {.mean = entry.at("mean").number(),
                      .variance = entry.at("variance").number(),
                      .count = entry.at("count").integer()};
  }
}

}  // namespace clausius
