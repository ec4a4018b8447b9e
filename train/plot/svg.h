// SPDX-License-Identifier: Apache-2.0
// Svg: a picture as text, shape by shape.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace clausius {

struct Point {
  double x = 0;
  double y = 0;
};

/// In pixels; y grows downwards.
struct Box {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
  [[nodiscard]] double right() const { return x + width; }
  [[nodiscard]] double bottom() const { return y + height; }
};

struct Stroke {
  std::string color = "#000000";
  double width = 1;
  double opacity = 1;
  std::string_view dash{};  // as "4 3"
};

enum class Anchor { kStart, kMiddle, kEnd };

struct TextStyle {
  double size = 12;
  std::string color = "#222222";
  Anchor anchor = Anchor::kStart;
  bool bold = false;
  double rotate = 0;  // degrees, about the text's own place
};

/// Fonts are the viewer's: Helvetica or what stands for it.
class Svg {
 public:
  Svg(double width, double height);

  void rectangle(const Box& box, std::string_view fill, double radius = 0);
  void frame(const Box& box, const Stroke& stroke);
  void line(Point from, Point to, const Stroke& stroke);
  void polyline(std::span<const Point> points, const Stroke& stroke);
  void polygon(std::span<const Point> points, std::string_view fill, double opacity = 1);
  void circle(Point center, double radius, std::string_view fill, const Stroke& stroke);
  void text(Point place, std::string_view text, const TextStyle& style = {});
  /// Grey diagonal lines: no value.
  void hatched(const Box& box);
  /// Text that viewers show over the last shape.
  void title(std::string_view text);

  /// The whole document.
  [[nodiscard]] std::string finish() const;

 private:
  void shape(std::string_view element, std::string_view attributes);

  double width_;
  double height_;
  std::string body_;
};

}  // namespace clausius
