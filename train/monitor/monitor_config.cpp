// SPDX-License-Identifier: Apache-2.0
// Which policy an alarm has, and which policies it may have.
#include "train/monitor/monitor_config.h"

#include <array>

namespace clausius {
namespace {

constexpr std::array kAlarms = {Alarm::kCollapse, Alarm::kOverload, Alarm::kSink,
                                Alarm::kLogit,    Alarm::kSpike,    Alarm::kNonfinite};

/// Why an alarm cannot have a policy; empty: it can.
std::string objection(Alarm alarm, AlarmPolicy policy) {
  if (policy == AlarmPolicy::kSkip && alarm != Alarm::kSpike && alarm != Alarm::kNonfinite) {
    return "skip leaves out the update of one step: for spike and nonfinite alone";
  }
  if (policy == AlarmPolicy::kRaiseTemperature && alarm != Alarm::kCollapse) {
    return "raise_temperature is for collapse alone";
  }
  if (policy == AlarmPolicy::kLog && alarm == Alarm::kNonfinite) {
    return "a value that is not finite cannot only be logged; use stop, skip or rollback";
  }
  return "";
}

}  // namespace

AlarmPolicy MonitorConfig::policy(Alarm alarm) const {
  const auto* named = std::get_if<std::map<Alarm, AlarmPolicy>>(&on_alarm);
  if (named != nullptr) {
    if (const auto found = named->find(alarm); found != named->end()) {
      return found->second;
    }
    return alarm == Alarm::kNonfinite ? AlarmPolicy::kStop : AlarmPolicy::kLog;
  }
  return alarm == Alarm::kNonfinite ? AlarmPolicy::kStop : std::get<AlarmPolicy>(on_alarm);
}

bool MonitorConfig::uses(AlarmPolicy wanted) const {
  return std::ranges::any_of(kAlarms, [&](Alarm alarm) { return policy(alarm) == wanted; });
}

void MonitorConfig::check_policies(const ConfigCheck& check) const {
  if (const auto* all = std::get_if<AlarmPolicy>(&on_alarm)) {
    const std::string refused = objection(Alarm::kOverload, *all);
    check.that(refused.empty(), "on_alarm", refused, "; name the alarm, {",
               *all == AlarmPolicy::kSkip ? "spike" : "collapse", ": ", word_of(*all), "}");
    return;
  }
  for (const auto& [alarm, policy] : std::get<std::map<Alarm, AlarmPolicy>>(on_alarm)) {
    const std::string refused = objection(alarm, policy);
    check.that(refused.empty(), concat("on_alarm.", word_of(alarm)), refused);
    check.that(alarm != Alarm::kSink || sink_above.has_value(), "on_alarm.sink",
               "sink_above is null: the alarm is never raised");
    check.that(alarm != Alarm::kLogit || logit_above.has_value(), "on_alarm.logit",
               "logit_above is null: the alarm is never raised");
    check.that(alarm != Alarm::kSpike || spike_above.has_value(), "on_alarm.spike",
               "spike_above is null: the alarm is never raised");
  }
}

}  // namespace clausius
