// SPDX-License-Identifier: Apache-2.0
// Colours that everyone can tell apart.
#pragma once

#include <string>
#include <string_view>

#include "core/io/png.h"

namespace clausius {

inline constexpr std::string_view kBlue = "#0072b2";
inline constexpr std::string_view kVermilion = "#d55e00";
inline constexpr std::string_view kGrey = "#8a8a8a";
inline constexpr std::string_view kGridGrey = "#e4e4e4";
inline constexpr std::string_view kInk = "#222222";

/// viridis: even in brightness, readable in grey and with any colour vision. `share` from 0 (dark) to 1 (bright), clamped.
[[nodiscard]] Rgb viridis_rgb(double share);
/// The same as #rrggbb.
[[nodiscard]] std::string viridis(double share);
/// For text on viridis(share).
[[nodiscard]] std::string_view ink_on_viridis(double share);

}  // namespace clausius
