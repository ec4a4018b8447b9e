// SPDX-License-Identifier: Apache-2.0
// PNG files of pictures that a run draws. The only place that knows zlib.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace clausius {

using Rgb = std::array<std::uint8_t, 3>;

/// A picture of `height` rows of `width` pixels, top left first.
class Raster {
 public:
  /// Errors: InternalError unless both sizes are from 1 to 2^15.
  Raster(std::int64_t width, std::int64_t height, Rgb color);

  [[nodiscard]] std::int64_t width() const { return width_; }
  [[nodiscard]] std::int64_t height() const { return height_; }
  [[nodiscard]] const Rgb& at(std::int64_t x, std::int64_t y) const { return pixels_[place(x, y)]; }
  [[nodiscard]] Rgb& at(std::int64_t x, std::int64_t y) { return pixels_[place(x, y)]; }

 private:
  [[nodiscard]] std::size_t place(std::int64_t x, std::int64_t y) const {
    return static_cast<std::size_t>(y * width_ + x);
  }

  std::int64_t width_;
  std::int64_t height_;
  std::vector<Rgb> pixels_;
};

/// The bytes of a PNG file: 8 bits a channel, red, green and blue, not interlaced.
/// Source:  PNG specification (ISO/IEC 15948), sections 5, 9 and 10.
[[nodiscard]] std::string encode_png(const Raster& raster);

}  // namespace clausius
