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

enum class Alarm { kCollapse, kOverload, kSink, kLogit, kSpike, kNonfinite };
constexpr auto words_of(Alarm /*unused*/) {
  return words("collapse", "overload", "sink", "logit", "spike", "nonfinite");
}

enum class AlarmPolicy { kLog, kSkip, kRollback, kStop, kRaiseTemperature };
constexpr auto words_of(AlarmPolicy /*unused*/) {
  return words("log", "skip", "rollback", "stop", "raise_temperature");
}

enum class BandReference { kAttainable, kObserved };
constexpr auto words_of(BandReference /*unused*/) {
  return words("attainable", "observed");
}

enum class Observable {
  kUpdateNorms,
  kGradientNorms,
  kActivationNorms,
  kLowRows,
  kEntropyFloor,
  kSinkMass,
  kGammas,
  kSpectralNorms,
  kAll,
};
constexpr auto words_of(Observable /*unused*/) {
  return words("update_norms", "gradient_norms", "activation_norms", "low_rows", "entropy_floor",
               "sink_mass", "gammas", "spectral_norms", "all");
}

struct MonitorConfig {
  Duration every = Duration::steps(10);
  double collapse_below = 0.05;
  double overload_above = 0.95;
  std::optional<double> sink_above = 0.9;
  std::optional<double> logit_above = 100.0;
  std::optional<double> spike_above = 6.0;
  std::int64_t alarm_after = 3;
  std::variant<AlarmPolicy, std::map<Alarm, AlarmPolicy>> on_alarm = AlarmPolicy::kLog;
  std::vector<double> bands = {0.25, 0.5, 0.75};
  BandReference band_reference = BandReference::kAttainable;
  std::vector<Observable> observe = {Observable::kUpdateNorms};
  bool tensorboard = true;

  [[nodiscard]] bool observes(Observable what) const {
    return std::ranges::any_of(
        observe, [&](Observable word) { return word == what || word == Observable::kAll; });
  }
  /// What is done about an alarm: nonfinite stops unless it is named.
  [[nodiscard]] AlarmPolicy policy(Alarm alarm) const;
  /// Whether some alarm has this policy.
  [[nodiscard]] bool uses(AlarmPolicy policy) const;

  void visit(ConfigVisitor& v) {
    v.field("every", every, "between written samples; entropy and max_logit are always taken",
            positive);
    v.field("collapse_below", collapse_below,
            "normalised entropy of a head that counts as collapsed", zero_to_one);
    v.field("overload_above", overload_above,
            "normalised entropy of a head that counts as overloaded", zero_to_one);
    v.field("sink_above", sink_above,
            "mean probability of a document's first token that raises an alarm; null = none",
            zero_to_one);
    v.field("logit_above", logit_above, "largest attention logit that raises an alarm; null = none",
            positive);
    v.field("spike_above", spike_above, "z-score of loss, gradient and update norm; null = none",
            positive);
    v.field("alarm_after", alarm_after, "samples in a row to raise and to clear an alarm",
            at_least(1));
    v.field("on_alarm", on_alarm,
            "what an alarm does, for all or by alarm; nonfinite stops unless named. skip leaves "
            "out the "
            "update (spike, nonfinite), raise_temperature is for collapse");
    v.field("bands", bands, "borders of the health bands, shares of the reference", zero_to_one);
    v.field("band_reference", band_reference,
            "attainable: ln of the visible keys; observed: the largest head of the sample");
    v.field("observe", observe,
            "what is observed beside entropy and max_logit, which always are; all = everything");
    v.field("tensorboard", tensorboard, "write event files, which TensorBoard shows");
  }
  void validate(const ConfigCheck& check) const {
    check.that(collapse_below < overload_above, "collapse_below", collapse_below,
               " is not below overload_above ", overload_above);
    check.that(std::is_sorted(bands.begin(), bands.end(), std::less_equal<>()), "bands",
               "borders must rise");
    check_policies(check);
  }

 private:
  void check_policies(const ConfigCheck& check) const;
};

}  // namespace clausius
