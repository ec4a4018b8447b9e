// SPDX-License-Identifier: Apache-2.0
// Cells of a heat map.
#include "train/monitor/tensorboard/heat_map.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/checked.h"
#include "train/plot/colors.h"

namespace clausius {
namespace {

constexpr std::int64_t kCell = 16;
constexpr std::int64_t kLargestSide = 2048;
constexpr Rgb kPaper = {255, 255, 255};
constexpr Rgb kHatch = {170, 170, 170};

void draw_cell(
    Raster& raster, std::int64_t left, std::int64_t top, std::int64_t side, double share) {
  const Rgb color = viridis_rgb(share);
  for (std::int64_t y = top; y < top + side; ++y) {
    for (std::int64_t x = left; x < left + side; ++x) {
      raster.at(x, y) = !std::isnan(share) ? color : (x + y) % 4 == 0 ? kHatch : kPaper;
    }
  }
}

}  // namespace

Raster draw_heat_map(const HeadTable& shares) {
  std::size_t heads = 0;
  for (const std::vector<double>& layer : shares) {
    heads = std::max(heads, layer.size());
  }
  const auto columns = narrow<std::int64_t>(heads);
  const auto rows = narrow<std::int64_t>(shares.size());
  const std::int64_t most = std::max<std::int64_t>({columns, rows, 1});
  const std::int64_t side = std::clamp<std::int64_t>(kLargestSide / most, 1, kCell);
  // A thin line of paper between cells that are large enough to spare it.
  const std::int64_t gap = side >= 4 ? 1 : 0;
  Raster raster(columns * side, rows * side, kPaper);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::vector<double>& layer = shares[static_cast<std::size_t>(row)];
    for (std::int64_t column = 0; column < columns; ++column) {
      const auto head = static_cast<std::size_t>(column);
      const double share =
          head < layer.size() ? layer[head] : std::numeric_limits<double>::quiet_NaN();
      draw_cell(raster, column * side, row * side, side - gap, share);
    }
  }
  return raster;
}

}  // namespace clausius
