// SPDX-License-Identifier: Apache-2.0
// Writing SVG 1.1.
#include "train/plot/svg.h"

#include <fmt/format.h>

namespace clausius {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

// Two decimals without trailing zeros: finer than any screen, and half the size.
std::string number(double value) {
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') {
    text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

std::string list(std::span<const Point> points) {
  std::string text;
  for (const Point& point : points) {
    text += (text.empty() ? "" : " ") + number(point.x) + "," + number(point.y);
  }
  return text;
}

std::string attributes_of(const Box& box) {
  return fmt::format(R"(x="{}" y="{}" width="{}" height="{}")", number(box.x), number(box.y),
                     number(box.width), number(box.height));
}

std::string attributes_of(const Stroke& stroke) {
  std::string text =
      fmt::format(R"(stroke="{}" stroke-width="{}")", stroke.color, number(stroke.width));
  if (stroke.opacity < 1) {
    text += fmt::format(R"( stroke-opacity="{}")", number(stroke.opacity));
  }
  if (!stroke.dash.empty()) {
    text += fmt::format(R"( stroke-dasharray="{}")", stroke.dash);
  }
  return text;
}

std::string_view name_of(Anchor anchor) {
  switch (anchor) {
    case Anchor::kMiddle:
      return "middle";
    case Anchor::kEnd:
      return "end";
    case Anchor::kStart:
      break;
  }
  return "start";
}

}  // namespace

Svg::Svg(double width, double height) : width_(width), height_(height) {}

void Svg::shape(std::string_view element, std::string_view attributes) {
  body_ += fmt::format("<{} {}/>\n", element, attributes);
}

void Svg::rectangle(const Box& box, std::string_view fill, double radius) {
  shape("rect", fmt::format(R"({} fill="{}"{})", attributes_of(box), fill,
                            radius > 0 ? fmt::format(R"( rx="{}")", number(radius)) : ""));
}

void Svg::frame(const Box& box, const Stroke& stroke) {
  shape("rect", fmt::format(R"({} fill="none" {})", attributes_of(box), attributes_of(stroke)));
}

void Svg::line(Point from, Point to, const Stroke& stroke) {
  shape("line", fmt::format(R"(x1="{}" y1="{}" x2="{}" y2="{}" {})", number(from.x), number(from.y),
                            number(to.x), number(to.y), attributes_of(stroke)));
}

void Svg::polyline(std::span<const Point> points, const Stroke& stroke) {
  shape("polyline", fmt::format(R"(points="{}" fill="none" stroke-linejoin="round" {})",
                                list(points), attributes_of(stroke)));
}

void Svg::polygon(std::span<const Point> points, std::string_view fill, double opacity) {
  shape("polygon",
        fmt::format(R"(points="{}" fill="{}"{})", list(points), fill,
                    opacity < 1 ? fmt::format(R"( fill-opacity="{}")", number(opacity)) : ""));
}

void Svg::circle(Point center, double radius, std::string_view fill, const Stroke& stroke) {
  shape("circle", fmt::format(R"(cx="{}" cy="{}" r="{}" fill="{}" {})", number(center.x),
                              number(center.y), number(radius), fill, attributes_of(stroke)));
}

void Svg::text(Point place, std::string_view text, const TextStyle& style) {
  std::string more;
  if (style.anchor != Anchor::kStart) {
    more += fmt::format(R"( text-anchor="{}")", name_of(style.anchor));
  }
  if (style.bold) {
    more += R"( font-weight="bold")";
  }
  if (style.rotate != 0) {
    more += fmt::format(" transform=\"rotate({} {} {})\"", number(style.rotate), number(place.x),
                        number(place.y));
  }
  body_ += fmt::format("<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\"{}>{}</text>\n",
                       number(place.x), number(place.y), number(style.size), style.color, more,
                       escaped(text));
}

void Svg::hatched(const Box& box) {
  rectangle(box, "#f4f4f4");
  rectangle(box, "url(#hatch)");
}

void Svg::title(std::string_view text) {
  const std::size_t end = body_.rfind("/>\n");
  const std::size_t open = body_.rfind('<', end);
  const std::string element = body_.substr(open + 1, body_.find(' ', open) - open - 1);
  body_.replace(end, 3, fmt::format("><title>{}</title></{}>\n", escaped(text), element));
}

std::string Svg::finish() const {
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
             "viewBox=\"0 0 {0} {1}\" font-family=\"Helvetica, Arial, 'Liberation Sans', "
             "'DejaVu Sans', sans-serif\">\n",
             number(width_), number(height_)) +
         "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
         "patternTransform=\"rotate(45)\"><line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" "
         "stroke=\"#b0b0b0\" stroke-width=\"1.6\"/></pattern></defs>\n" +
         fmt::format("<rect width=\"{}\" height=\"{}\" fill=\"#ffffff\"/>\n", number(width_),
                     number(height_)) +
         body_ + "</svg>\n";
}

}  // namespace clausius
