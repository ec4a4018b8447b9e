// SPDX-License-Identifier: Apache-2.0
// Reading, writing and measuring durations.
#include "core/config_duration.h"

#include <cmath>

namespace clausius {
namespace {

using Unit = Duration::Unit;

// The number in front of the unit; what is left over is the unit.
ConfigNode leading_number(const ConfigNode& node, std::string_view& unit) {
  const std::string_view text = node.text;
  const std::size_t end =
      text.ends_with('%') ? text.size() - 1 : std::min(text.find(' '), text.size());
  unit = text.substr(end);
  unit.remove_prefix(unit.starts_with(' ') ? 1 : 0);
  ConfigNode number = node;
  number.text = text.substr(0, end);
  return number;
}

bool parse_unit(std::string_view text, Unit& unit) {
  if (text.empty()) {
    unit = Unit::kSteps;
  } else if (text == "%") {
    unit = Unit::kPercent;
  } else if (text == "epoch" || text == "epochs") {
    unit = Unit::kEpochs;
  } else if (text == "tokens") {
    unit = Unit::kTokens;
  } else {
    return false;
  }
  return true;
}

bool parts_of(const ConfigNode& node, ConfigNode& number, Unit& unit) {
  if (!node.is_scalar() || node.is_null()) {
    return false;
  }
  std::string_view unit_text;
  number = leading_number(node, unit_text);
  // In quotes 5% is the same text; 100 is no number.
  number.quoted = node.quoted && unit_text.empty();
  return ConfigType<double>::fits(number) && parse_unit(unit_text, unit);
}

}  // namespace

std::int64_t Duration::in_steps(const Run& run) const {
  switch (unit) {
    case Unit::kSteps:
      return std::llround(amount);
    case Unit::kPercent:
      return std::llround(amount / 100.0 * static_cast<double>(run.steps));
    case Unit::kEpochs:
      CLS_CHECK(run.steps_per_epoch > 0.0, ConfigError, "'", to_string(*this),
                "' has no meaning: this data has no epochs");
      return std::llround(amount * run.steps_per_epoch);
    case Unit::kTokens:
      CLS_CHECK(run.tokens_per_step > 0.0, ConfigError, "'", to_string(*this),
                "' has no meaning: this data has no tokens");
      return std::llround(amount / run.tokens_per_step);
  }
  return 0;
}

std::string to_string(const Duration& duration) {
  const bool whole =
      duration.amount == std::floor(duration.amount) && std::abs(duration.amount) < 1e15;
  std::string number = whole ? std::to_string(static_cast<std::int64_t>(duration.amount))
                             : ConfigNode::number(duration.amount).text;
  switch (duration.unit) {
    case Unit::kSteps:
      return number;
    case Unit::kPercent:
      return number + "%";
    case Unit::kEpochs:
      return number + (duration.amount == 1.0 ? " epoch" : " epochs");
    case Unit::kTokens:
      return number + " tokens";
  }
  return number;
}

bool ConfigType<Duration>::fits(const ConfigNode& node) {
  ConfigNode number;
  Unit unit = Unit::kSteps;
  return parts_of(node, number, unit);
}

void ConfigType<Duration>::read(const ConfigNode& node, Duration& value, const Constraint& range) {
  ConfigNode number;
  if (!parts_of(node, number, value.unit)) {
    detail::fail_type(node, describe(range));
  }
  if (value.unit == Unit::kSteps || value.unit == Unit::kTokens) {
    std::int64_t count = 0;
    ConfigType<std::int64_t>::read(number, count, range);
    value.amount = static_cast<double>(count);
  } else {
    Constraint limits = range;
    limits.high = value.unit == Unit::kPercent ? 100.0 : range.high;
    ConfigType<double>::read(number, value.amount, limits);
  }
}

ConfigNode ConfigType<Duration>::write(const Duration& value) {
  return ConfigNode::scalar(to_string(value));
}

TypeSchema ConfigType<Duration>::describe(const Constraint& range) {
  return type_schema(TypeSchema::Kind::kDuration, range);
}

}  // namespace clausius
