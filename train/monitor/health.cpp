// SPDX-License-Identifier: Apache-2.0
// Bands and alarms.
#include "train/monitor/health.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "core/io/json.h"

namespace clausius {
namespace {

// A z-score means little before its mean and variance have settled.
constexpr std::int64_t kSettled = 20;
constexpr double kForget = 0.02;

}  // namespace

HealthMonitor::HealthMonitor(MonitorConfig config) : config_(std::move(config)) {}

HealthVerdict HealthMonitor::judge(const StepReport& report) {
  HealthVerdict verdict;
  if (report.sampled) {
    verdict.bands = bands_of(report.entropy);
    judge_heads(report, verdict);
  }
  if (config_.spike_above) {
    judge_spike("loss", report.loss, report.step, verdict);
    judge_spike("gradient norm", report.grad_norm, report.step, verdict);
    if (report.updated) {
      judge_spike("update norm", report.update_norm, report.step, verdict);
    }
  }
  report_changes(verdict);
  for (const auto& [key, track] : tracks_) {
    if (track.raised) {
      verdict.active.push_back(track.text);
    }
  }
  return verdict;
}

bool HealthMonitor::observe(const Finding& finding, HealthVerdict& verdict) {
  const std::string name(word_of(finding.alarm));
  Track& track = tracks_[name + " " + finding.place];
  track.bad = finding.bad ? track.bad + 1 : 0;
  track.good = finding.bad ? 0 : track.good + 1;
  if (finding.bad) {
    track.since = track.bad == 1 ? finding.step : track.since;
    track.text = fmt::format("{}: {}: {}", name, finding.place, finding.text);
  }
  const bool raises = !track.raised && track.bad >= config_.alarm_after;
  if (raises) {
    track.raised = true;
    changes_["raised: " + name].push_back(finding.place + ": " + finding.text);
  } else if (track.raised && track.good >= config_.alarm_after) {
    track.raised = false;
    changes_["cleared: " + name].push_back(finding.place);
  }
  act(finding, track, raises, verdict);
  return track.raised;
}

void HealthMonitor::act(const Finding& finding,
                        const Track& track,
                        bool just_raised,
                        HealthVerdict& verdict) {
  switch (policy(finding.alarm)) {
    case AlarmPolicy::kStop:
      if (just_raised && verdict.stop.empty()) {
        verdict.stop = track.text;
      }
      break;
    case AlarmPolicy::kRollback:
      if (just_raised) {
        verdict.rollback_before =
            verdict.rollback.empty() ? track.since : std::min(verdict.rollback_before, track.since);
        verdict.rollback = verdict.rollback.empty() ? track.text : verdict.rollback;
      }
      break;
    case AlarmPolicy::kRaiseTemperature:
      // When it is raised, and again after as many samples that did not help.
      if (track.raised && track.bad > 0 && track.bad % config_.alarm_after == 0) {
        verdict.warmer.push_back(finding.head);
      }
      break;
    case AlarmPolicy::kLog:
    case AlarmPolicy::kSkip:  // which asks spike_in() before the update
      break;
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
      verdict.collapsed += head.entropy_normalized < config_.collapse_below ? 1 : 0;
      judge_head(report.step, {static_cast<std::int64_t>(layer), static_cast<std::int64_t>(h)},
                 head, verdict);
    }
  }
}

void HealthMonitor::judge_head(std::int64_t step,
                               HeadPlace place,
                               const HeadEntropy& head,
                               HealthVerdict& verdict) {
  const auto find = [&](Alarm alarm, bool bad, const std::string& text) {
    observe({.alarm = alarm,
             .place = fmt::format("layer {} head {}", place.layer, place.head),
             .bad = bad,
             .text = text,
             .step = step,
             .head = place},
            verdict);
  };
  find(Alarm::kCollapse, head.entropy_normalized < config_.collapse_below,
       fmt::format("normalised entropy {:.4f} below {}", head.entropy_normalized,
                   config_.collapse_below));
  find(Alarm::kOverload, head.entropy_normalized > config_.overload_above,
       fmt::format("normalised entropy {:.4f} above {}", head.entropy_normalized,
                   config_.overload_above));
  if (config_.sink_above && !std::isnan(head.sink_mass)) {
    find(Alarm::kSink, head.sink_mass > *config_.sink_above,
         fmt::format("mass {:.4f} on the first token above {}", head.sink_mass,
                     *config_.sink_above));
  }
  if (config_.logit_above) {
    find(Alarm::kLogit, head.max_logit > *config_.logit_above,
         fmt::format("largest logit {:.2f} above {}", head.max_logit, *config_.logit_above));
  }
}

double HealthMonitor::Running::deviations(double value) const {
  const double deviation = std::sqrt(variance);
  return count >= kSettled && deviation > 0 ? (value - mean) / deviation : 0.0;
}

// An exponential window that starts as a plain average.
void HealthMonitor::Running::absorb(double value) {
  const double share = std::max(kForget, 1.0 / static_cast<double>(count + 1));
  const double step = value - mean;
  mean += share * step;
  variance = (1.0 - share) * (variance + share * step * step);
  ++count;
}

std::string HealthMonitor::spike_in(double loss, double grad_norm) const {
  if (!config_.spike_above) {
    return "";
  }
  for (const auto& [name, value] :
       {std::pair("loss", loss), std::pair("gradient norm", grad_norm)}) {
    const auto running = running_.find(name);
    const double z = running != running_.end() ? running->second.deviations(value) : 0.0;
    if (z > *config_.spike_above) {
      return fmt::format("spike: {}: {:.4g} is {:.1f} deviations above its mean {:.4g}", name,
                         value, z, running->second.mean);
    }
  }
  return "";
}

void HealthMonitor::judge_spike(const std::string& name,
                                double value,
                                std::int64_t step,
                                HealthVerdict& verdict) {
  if (!std::isfinite(value)) {
    return;
  }
  Running& running = running_[name];
  const double z = running.deviations(value);
  const bool bad = z > *config_.spike_above;
  const bool raised =
      observe({.alarm = Alarm::kSpike,
               .place = name,
               .bad = bad,
               .text = fmt::format("{:.4g} is {:.1f} deviations above its mean {:.4g}", value, z,
                                   running.mean),
               .step = step},
              verdict);
  // A spike is no part of what is usual, or the next one would hide behind it; what lasts beyond the alarm becomes usual.
  if (!bad || raised) {
    running.absorb(value);
  }
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
    entry.set("since", track.since);
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
                    .since = entry.find("since") != nullptr ? entry.at("since").integer() : 0,
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
