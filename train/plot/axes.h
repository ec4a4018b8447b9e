// SPDX-License-Identifier: Apache-2.0
// Axes: a frame with ticks, and the way from values to pixels.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "train/plot/svg.h"

namespace clausius {

struct Range {
  double low = 0;
  double high = 1;
};

/// Round values inside the range, at most `most` of them.
[[nodiscard]] std::vector<double> nice_ticks(const Range& range, int most);

/// Of a long line, what a screen can show: in each of `columns` equal parts of x, the lowest and the highest point, in order.
/// Points must ascend in x; those that are not finite are left out.
[[nodiscard]] std::vector<Point> decimate(std::span<const Point> values, std::size_t columns);

class Axes {
 public:
  Axes(const Box& box, const Range& x, const Range& y) : box_(box), x_(x), y_(y) {}

  [[nodiscard]] const Box& box() const { return box_; }
  [[nodiscard]] double pixel_x(double x) const;
  [[nodiscard]] double pixel_y(double y) const;
  [[nodiscard]] Point pixel(const Point& value) const {
    return {pixel_x(value.x), pixel_y(value.y)};
  }
  [[nodiscard]] std::vector<Point> pixels(std::span<const Point> values) const;

  /// Grid lines and tick labels; `percent` writes y as per cent.
  void draw_grid(Svg& svg, bool percent = false) const;
  void draw_frame(Svg& svg, const std::string& x_label) const;

 private:
  Box box_;
  Range x_;
  Range y_;
};

}  // namespace clausius
