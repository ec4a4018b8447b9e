// SPDX-License-Identifier: Apache-2.0
// Heat maps of heads: where each cell is, its colour, and what stands for heads that are not there.
#include "train/monitor/tensorboard/heat_map.h"

#include <limits>

#include <gtest/gtest.h>

#include "core/error.h"
#include "train/plot/colors.h"

namespace clausius {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr Rgb kWhite = {255, 255, 255};

TEST(HeatMap, LayersGoDownAndHeadsAcross) {
  const Raster map = draw_heat_map({{0.0, 0.5, 1.0}, {0.25, 0.75, 0.1}});
  ASSERT_EQ(map.width(), 48);
  ASSERT_EQ(map.height(), 32);
  EXPECT_EQ(map.at(0, 0), viridis_rgb(0.0));
  EXPECT_EQ(map.at(14, 14), viridis_rgb(0.0));
  EXPECT_EQ(map.at(16, 0), viridis_rgb(0.5));
  EXPECT_EQ(map.at(32, 0), viridis_rgb(1.0));
  EXPECT_EQ(map.at(0, 16), viridis_rgb(0.25));
  EXPECT_EQ(map.at(46, 30), viridis_rgb(0.1));
  EXPECT_EQ(map.at(15, 0), kWhite);
  EXPECT_EQ(map.at(0, 15), kWhite);
  EXPECT_EQ(viridis_rgb(0.0), (Rgb{68, 1, 84}));
  EXPECT_EQ(viridis_rgb(1.0), (Rgb{253, 231, 37}));
}

TEST(HeatMap, HeadsThatAreNotThereAreHatched) {
  // An unknown value, a layer of fewer heads, a layer without any.
  const Raster map = draw_heat_map({{0.5, kNan}, {0.5}, {}});
  const auto hatched = [&](std::int64_t column, std::int64_t row) {
    std::int64_t grey = 0;
    for (std::int64_t y = 0; y < 15; ++y) {
      for (std::int64_t x = 0; x < 15; ++x) {
        const Rgb& pixel = map.at(16 * column + x, 16 * row + y);
        EXPECT_TRUE(pixel[0] == pixel[1] && pixel[1] == pixel[2]);
        grey += pixel == kWhite ? 0 : 1;
      }
    }
    return grey > 15;
  };
  EXPECT_TRUE(hatched(1, 0));
  EXPECT_TRUE(hatched(1, 1));
  EXPECT_TRUE(hatched(0, 2));
  EXPECT_EQ(map.at(3, 19), viridis_rgb(0.5));
}

TEST(HeatMap, ManyHeadsGetSmallerCells) {
  const Raster map = draw_heat_map({std::vector<double>(1000, 0.5)});
  EXPECT_EQ(map.width(), 2000);
  EXPECT_EQ(map.height(), 2);
  EXPECT_EQ(map.at(1999, 1), viridis_rgb(0.5));
}

TEST(HeatMap, NoHeadIsAnError) {
  EXPECT_THROW((void)draw_heat_map({{}, {}}), InternalError);
}

}  // namespace
}  // namespace clausius
