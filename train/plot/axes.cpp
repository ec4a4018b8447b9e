// SPDX-License-Identifier: Apache-2.0
// Ticks, grids and long lines.
#include "train/plot/axes.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "train/plot/colors.h"

namespace clausius {
namespace {

// As many decimals as the distance between ticks needs.
std::string tick_label(double value, double distance) {
  if (value != 0 && distance >= 1000) {
    return distance >= 1e6 ? fmt::format("{:g}M", value * 1e-6)
                           : fmt::format("{:g}k", value * 1e-3);
  }
  const int decimals = std::clamp(static_cast<int>(std::ceil(-std::log10(distance) - 1e-9)), 0, 9);
  return fmt::format("{:.{}f}", value, decimals);
}

}  // namespace

std::vector<double> nice_ticks(const Range& range, int most) {
  const double width = range.high - range.low;
  if (!(width > 0) || most < 1) {
    return {range.low};
  }
  const double power = std::pow(10.0, std::floor(std::log10(width / most)));
  double distance = power * 10;
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (width / (power * factor) <= most) {
      distance = power * factor;
      break;
    }
  }
  std::vector<double> ticks;
  for (double k = std::ceil(range.low / distance - 1e-9); k * distance <= range.high + 1e-9 * width;
       ++k) {
    ticks.push_back(k * distance + 0.0);  // never -0
  }
  return ticks;
}

std::vector<Point> decimate(std::span<const Point> values, std::size_t columns) {
  std::vector<Point> finite;
  for (const Point& value : values) {
    if (std::isfinite(value.y)) {
      finite.push_back(value);
    }
  }
  if (finite.size() <= 2 * columns) {
    return finite;
  }
  const double low = finite.front().x;
  const double width = (finite.back().x - low) / static_cast<double>(columns);
  const auto by_y = [](const Point& a, const Point& b) { return a.y < b.y; };
  std::vector<Point> kept;
  auto begin = finite.begin();
  for (std::size_t column = 0; column < columns && begin != finite.end(); ++column) {
    const double border = low + width * static_cast<double>(column + 1);
    const auto end = column + 1 == columns
                         ? finite.end()
                         : std::find_if(begin, finite.end(),
                                        [&](const Point& point) { return point.x > border; });
    if (begin == end) {
      continue;
    }
    auto [least, greatest] = std::minmax_element(begin, end, by_y);
    if (greatest < least) {
      std::swap(least, greatest);
    }
    kept.push_back(*least);
    if (greatest != least) {
      kept.push_back(*greatest);
    }
    begin = end;
  }
  return kept;
}

double Axes::pixel_x(double x) const {
  const double width = x_.high - x_.low;
  return box_.x + (width > 0 ? (x - x_.low) / width : 0.5) * box_.width;
}

double Axes::pixel_y(double y) const {
  const double height = y_.high - y_.low;
  return box_.bottom() - (height > 0 ? (y - y_.low) / height : 0.5) * box_.height;
}

std::vector<Point> Axes::pixels(std::span<const Point> values) const {
  std::vector<Point> points;
  for (const Point& value : values) {
    points.push_back(pixel(value));
  }
  return points;
}

void Axes::draw_grid(Svg& svg, bool percent) const {
  const Stroke grid{.color = std::string(kGridGrey)};
  const TextStyle style{.size = 11, .color = "#555555"};
  const std::vector<double> ys = nice_ticks(y_, 6);
  for (const double y : ys) {
    svg.line({box_.x, pixel_y(y)}, {box_.right(), pixel_y(y)}, grid);
    TextStyle right = style;
    right.anchor = Anchor::kEnd;
    const double distance = ys.size() > 1 ? ys[1] - ys[0] : 1;
    svg.text({box_.x - 7, pixel_y(y) + 4},
             percent ? fmt::format("{:.0f}%", 100 * y) : tick_label(y, distance), right);
  }
  const std::vector<double> xs = nice_ticks(x_, 6);
  for (const double x : xs) {
    svg.line({pixel_x(x), box_.bottom()}, {pixel_x(x), box_.bottom() + 4},
             {.color = std::string(kGrey)});
    TextStyle middle = style;
    middle.anchor = Anchor::kMiddle;
    svg.text({pixel_x(x), box_.bottom() + 17}, tick_label(x, xs.size() > 1 ? xs[1] - xs[0] : 1),
             middle);
  }
}

void Axes::draw_frame(Svg& svg, const std::string& x_label) const {
  svg.line({box_.x, box_.bottom()}, {box_.right(), box_.bottom()}, {.color = std::string(kGrey)});
  svg.text({box_.right(), box_.bottom() + 33}, x_label,
           {.size = 11, .color = "#555555", .anchor = Anchor::kEnd});
}

}  // namespace clausius
