// SPDX-License-Identifier: Apache-2.0
// The recipe section `monitor`: what is observed, and what happens when a head or the loss misbehaves.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/config.h"
#include "core/config_duration.h"

namespace clausius {

enum class Alarm { kCollapse, kOverload, kLogit, kSpike, kNonfinite };
constexpr auto words_of(Alarm /*unused*/) {
  return words("collapse", "overload", "logit", "spike", "nonfinite");
}

enum class AlarmPolicy { kLog, kStop };
constexpr auto words_of(AlarmPolicy /*unused*/) {
  return words("log", "stop");
}

enum class BandReference { kAttainable, kObserved };
constexpr auto words_of(BandReference /*unused*/) {
  return words("attainable", "observed");
}

enum class Observable { kUpdateNorms };
constexpr auto words_of(Observable /*unused*/) {
  return words("update_norms");
}

struct MonitorConfig {
  Duration every = Duration::steps(10);
  double collapse_below = 0.05;
  double overload_above = 0.95;
  std::optional<double> logit_above = 100.0;
  std::optional<double> spike_above = 6.0;
  std::int64_t alarm_after = 3;
  std::variant<AlarmPolicy, std::map<Alarm, AlarmPolicy>> on_alarm = AlarmPolicy::kLog;
  std::vector<double> bands = {0.25, 0.5, 0.75};
  BandReference band_reference = BandReference::kAttainable;
  std::vector<Observable> observe = {Observable::kUpdateNorms};
  bool tensorboard = true;

  void visit(ConfigVisitor& v) {
    v.field("every", every, "between written samples; entropy and max_logit are always taken",
            positive);
    v.field("collapse_below", collapse_below,
            "normalised entropy of a head that counts as collapsed", zero_to_one);
    v.field("overload_above", overload_above,
            "normalised entropy of a head that counts as overloaded", zero_to_one);
    v.field("logit_above", logit_above, "largest attention logit that raises an alarm; null = none",
            positive);
    v.field("spike_above", spike_above, "z-score of loss, gradient and update norm; null = none",
            positive);
    v.field("alarm_after", alarm_after, "samples in a row to raise and to clear an alarm",
            at_least(1));
    v.field("on_alarm", on_alarm,
            "what an alarm does, for all or by alarm; nonfinite stops unless named");
    v.field("bands", bands, "borders of the health bands, shares of the reference", zero_to_one);
    v.field("band_reference", band_reference,
            "attainable: ln of the visible keys; observed: the largest head of the sample");
    v.field("observe", observe, "what else is observed");
    v.field("tensorboard", tensorboard, "write event files, which TensorBoard shows");
  }
  void validate(const ConfigCheck& check) const {
    check.that(collapse_below < overload_above, "collapse_below", collapse_below,
               " is not below overload_above ", overload_above);
    check.that(std::is_sorted(bands.begin(), bands.end(), std::less_equal<>()), "bands",
               "borders must rise");
    if (const auto* policies = std::get_if<std::map<Alarm, AlarmPolicy>>(&on_alarm)) {
      const auto nonfinite = policies->find(Alarm::kNonfinite);
      check.that(nonfinite == policies->end() || nonfinite->second != AlarmPolicy::kLog,
                 "on_alarm.nonfinite",
                 "a value that is not finite cannot only be logged; use stop");
    }
  }
};

}  // namespace clausius
