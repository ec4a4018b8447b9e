// SPDX-License-Identifier: Apache-2.0
// Large numbers for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace clausius {

/// 1536.0 * 1024 -> "1.50 MiB".
[[nodiscard]] std::string format_bytes(double bytes);
/// 124.4e6 -> "124.4M", with `unit` after it: format_si(4.2e11, "FLOP/s") -> "420.0 GFLOP/s".
[[nodiscard]] std::string format_si(double value, std::string_view unit = {});
/// 0.0123 -> "12.3 ms", 75 -> "75.0 s", 7200 -> "2.0 h", 9e5 -> "10.4 days".
[[nodiscard]] std::string format_duration(double seconds);

}  // namespace clausius
