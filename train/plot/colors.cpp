// SPDX-License-Identifier: Apache-2.0
// viridis by interpolation between ten of its colours.
#include "train/plot/colors.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace clausius {
namespace {

constexpr std::array<std::array<double, 3>, 10> kViridis = {{{68, 1, 84},
                                                             {72, 40, 120},
                                                             {62, 73, 137},
                                                             {49, 104, 142},
                                                             {38, 130, 142},
                                                             {31, 158, 137},
                                                             {53, 183, 121},
                                                             {109, 205, 89},
                                                             {180, 222, 44},
                                                             {253, 231, 37}}};

}  // namespace

Rgb viridis_rgb(double share) {
  const double place = std::clamp(share, 0.0, 1.0) * (kViridis.size() - 1);
  const auto low = std::min(static_cast<std::size_t>(place), kViridis.size() - 2);
  const double part = place - static_cast<double>(low);
  Rgb color{};
  for (std::size_t i = 0; i < color.size(); ++i) {
    color[i] = static_cast<std::uint8_t>(
        std::lround(kViridis[low][i] * (1 - part) + kViridis[low + 1][i] * part));
  }
  return color;
}

std::string viridis(double share) {
  const Rgb color = viridis_rgb(share);
  return fmt::format("#{:02x}{:02x}{:02x}", color[0], color[1], color[2]);
}

std::string_view ink_on_viridis(double share) {
  return share < 0.6 ? "#ffffff" : kInk;
}

}  // namespace clausius
