// SPDX-License-Identifier: Apache-2.0
// Duration: a stretch of a run, written `100` (steps), `5%` (of the run), `2 epochs` or `1.0e9
// tokens`.
#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"

namespace clausius {

struct Duration {
  enum class Unit { kSteps, kPercent, kEpochs, kTokens };

  double amount = 0.0;  // steps and tokens are whole
  Unit unit = Unit::kSteps;

  static constexpr Duration steps(std::int64_t count) {
    return {static_cast<double>(count), Unit::kSteps};
  }
  static constexpr Duration percent(double part) { return {part, Unit::kPercent}; }

  /// What the other units are measured by.
  struct Run {
    std::int64_t steps = 0;
    double steps_per_epoch = 0.0;
    double tokens_per_step = 0.0;
  };
  /// In optimizer steps, rounded to the nearest. ConfigError if the unit has no meaning in this run
  /// (no epochs, no tokens).
  [[nodiscard]] std::int64_t in_steps(const Run& run) const;

  bool operator==(const Duration&) const = default;
};

[[nodiscard]] std::string to_string(const Duration& duration);

template <>
struct ConfigType<Duration> {
  static bool fits(const ConfigNode& node);
  static void read(const ConfigNode& node, Duration& value, const Constraint& range);
  static ConfigNode write(const Duration& value);
  static TypeSchema describe(const Constraint& range);
};

}  // namespace clausius
