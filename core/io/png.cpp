// SPDX-License-Identifier: Apache-2.0
// Writing PNG: signature, header, one chunk of compressed rows, end.
#include "core/io/png.h"

#include <string_view>
#include <zlib.h>

#include "core/checked.h"
#include "core/error.h"
#include "core/libraries.h"

namespace clausius {
namespace {

constexpr std::int64_t kLargestSide = 1 << 15;
constexpr char kFilterLeft = 1;
constexpr char kFilterAbove = 2;

const Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<const Bytef*>(text.data());
}

void append_big_endian(std::string& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(static_cast<unsigned char>(value >> shift)));
  }
}

// Length, type, data, and the CRC-32 of type and data.
void append_chunk(std::string& file, std::string_view type, std::string_view data) {
  append_big_endian(file, narrow<std::uint32_t>(data.size()));
  const std::size_t start = file.size();
  file.append(type).append(data);
  const std::string_view covered = std::string_view(file).substr(start);
  const uLong crc = crc32(0, bytes_of(covered), narrow<uInt>(covered.size()));
  append_big_endian(file, narrow<std::uint32_t>(crc));
}

// Each row behind its filter: drawings repeat the row above, and within a row the pixel to the left.
std::string filtered_rows(const Raster& raster) {
  const std::int64_t width = raster.width();
  std::string rows;
  rows.reserve(static_cast<std::size_t>(raster.height() * (1 + 3 * width)));
  for (std::int64_t y = 0; y < raster.height(); ++y) {
    bool repeats = y > 0;
    for (std::int64_t x = 0; repeats && x < width; ++x) {
      repeats = raster.at(x, y) == raster.at(x, y - 1);
    }
    rows.push_back(repeats ? kFilterAbove : kFilterLeft);
    if (repeats) {
      rows.append(static_cast<std::size_t>(3 * width), '\0');
      continue;
    }
    Rgb left{};
    for (std::int64_t x = 0; x < width; ++x) {
      const Rgb& pixel = raster.at(x, y);
      for (std::size_t channel = 0; channel < pixel.size(); ++channel) {
        rows.push_back(
            static_cast<char>(static_cast<unsigned char>(pixel[channel] - left[channel])));
      }
      left = pixel;
    }
  }
  return rows;
}

std::string compressed(std::string_view data) {
  uLongf size = compressBound(narrow<uLong>(data.size()));
  std::string packed(size, '\0');
  const int status = compress2(reinterpret_cast<Bytef*>(packed.data()), &size, bytes_of(data),
                               narrow<uLong>(data.size()), Z_DEFAULT_COMPRESSION);
  CLS_CHECK(status == Z_OK, InternalError, "zlib refuses to compress: status ", status);
  packed.resize(size);
  return packed;
}

std::string version_of_zlib() {
  return zlibVersion();
}

CLS_LIBRARY("zlib", version_of_zlib);

}  // namespace

Raster::Raster(std::int64_t width, std::int64_t height, Rgb color)
    : width_(width), height_(height) {
  CLS_CHECK(width > 0 && height > 0 && width <= kLargestSide && height <= kLargestSide,
            InternalError, "a picture of ", width, " x ", height, " pixels; expected 1 to ",
            kLargestSide, " a side");
  pixels_.assign(static_cast<std::size_t>(width * height), color);
}

std::string encode_png(const Raster& raster) {
  std::string header;
  append_big_endian(header, narrow<std::uint32_t>(raster.width()));
  append_big_endian(header, narrow<std::uint32_t>(raster.height()));
  // 8 bits a channel, three channels; the only compression and filter methods; not interlaced.
  header.append({'\x08', '\x02', '\x00', '\x00', '\x00'});
  std::string file = "\x89PNG\r\n\x1a\n";
  append_chunk(file, "IHDR", header);
  append_chunk(file, "IDAT", compressed(filtered_rows(raster)));
  append_chunk(file, "IEND", "");
  return file;
}

}  // namespace clausius
