// SPDX-License-Identifier: Apache-2.0
// Units.
#include "train/format.h"

#include <array>

#include <fmt/format.h>

namespace clausius {

std::string format_bytes(double bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.2f} {}", bytes, kUnits[unit]);
}

std::string format_si(double value, std::string_view unit) {
  constexpr std::array<std::string_view, 8> kPrefixes = {"", "k", "M", "G", "T", "P", "E", "Z"};
  // Counts of parameters and tokens are written with B for 10^9.
  const auto prefix_of = [&](std::size_t power) {
    return unit.empty() && power == 3 ? std::string_view("B") : kPrefixes[power];
  };
  std::size_t power = 0;
  while (value >= 999.95 && power + 1 < kPrefixes.size()) {
    value /= 1000;
    ++power;
  }
  const bool whole = power == 0 && value == static_cast<double>(static_cast<std::int64_t>(value));
  const std::string number = whole ? fmt::format("{:.0f}", value) : fmt::format("{:.1f}", value);
  return unit.empty() ? fmt::format("{}{}", number, prefix_of(power))
                      : fmt::format("{} {}{}", number, prefix_of(power), unit);
}

std::string format_duration(double seconds) {
  if (seconds < 1) {
    return seconds < 1e-3 ? fmt::format("{:.1f} us", seconds * 1e6)
                          : fmt::format("{:.1f} ms", seconds * 1e3);
  }
  if (seconds < 120) {
    return fmt::format("{:.1f} s", seconds);
  }
  if (seconds < 7200) {
    return fmt::format("{:.1f} min", seconds / 60);
  }
  return seconds < 172800 ? fmt::format("{:.1f} h", seconds / 3600)
                          : fmt::format("{:.1f} days", seconds / 86400);
}

}  // namespace clausius
