// SPDX-License-Identifier: Apache-2.0
// PNG bytes, decoded again by hand: chunks, checksums, filters, pixels.
#include "core/io/png.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <zlib.h>

#include <gtest/gtest.h>

#include "core/error.h"

namespace clausius {
namespace {

std::uint32_t big_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char byte : bytes.substr(0, 4)) {
    value = value << 8 | static_cast<unsigned char>(byte);
  }
  return value;
}

const Bytef* pointer(std::string_view text) {
  return reinterpret_cast<const Bytef*>(text.data());
}

// Type and data of each chunk, checksums verified.
std::vector<std::pair<std::string, std::string>> chunks_of(std::string_view file) {
  EXPECT_EQ(file.substr(0, 8), "\x89PNG\r\n\x1a\n");
  file.remove_prefix(8);
  std::vector<std::pair<std::string, std::string>> chunks;
  while (!file.empty()) {
    const std::uint32_t length = big_endian(file);
    const std::string_view covered = file.substr(4, length + 4);
    EXPECT_EQ(big_endian(file.substr(8 + length)),
              crc32(0, pointer(covered), static_cast<uInt>(covered.size())));
    chunks.emplace_back(covered.substr(0, 4), covered.substr(4));
    file.remove_prefix(length + 12);
  }
  return chunks;
}

// Of filters 0 (none), 1 (left) and 2 (above).
std::vector<unsigned char> unfiltered(const std::string& rows,
                                      std::size_t width,
                                      std::size_t height) {
  std::vector<unsigned char> bytes(3 * width * height);
  for (std::size_t y = 0; y < height; ++y) {
    const char filter = rows[y * (3 * width + 1)];
    EXPECT_TRUE(filter >= 0 && filter <= 2) << "row " << y;
    for (std::size_t i = 0; i < 3 * width; ++i) {
      const auto raw = static_cast<unsigned char>(rows[y * (3 * width + 1) + 1 + i]);
      const unsigned left = filter == 1 && i >= 3 ? bytes[y * 3 * width + i - 3] : 0U;
      const unsigned above = filter == 2 && y > 0 ? bytes[(y - 1) * 3 * width + i] : 0U;
      bytes[y * 3 * width + i] = static_cast<unsigned char>(raw + left + above);
    }
  }
  return bytes;
}

void expect_decodes(const Raster& raster) {
  const auto chunks = chunks_of(encode_png(raster));
  ASSERT_EQ(chunks.size(), 3U);
  EXPECT_EQ(chunks[0].first, "IHDR");
  EXPECT_EQ(chunks[1].first, "IDAT");
  EXPECT_EQ(chunks[2], (std::pair<std::string, std::string>("IEND", "")));
  const std::string& header = chunks[0].second;
  ASSERT_EQ(header.size(), 13U);
  EXPECT_EQ(big_endian(header), static_cast<std::uint32_t>(raster.width()));
  EXPECT_EQ(big_endian(std::string_view(header).substr(4)),
            static_cast<std::uint32_t>(raster.height()));
  EXPECT_EQ(header.substr(8), std::string("\x08\x02\x00\x00\x00", 5));
  const auto width = static_cast<std::size_t>(raster.width());
  const auto height = static_cast<std::size_t>(raster.height());
  std::string rows(height * (3 * width + 1), '\0');
  uLongf size = rows.size();
  ASSERT_EQ(uncompress(reinterpret_cast<Bytef*>(rows.data()), &size, pointer(chunks[1].second),
                       chunks[1].second.size()),
            Z_OK);
  ASSERT_EQ(size, rows.size());
  const std::vector<unsigned char> bytes = unfiltered(rows, width, height);
  for (std::int64_t y = 0; y < raster.height(); ++y) {
    for (std::int64_t x = 0; x < raster.width(); ++x) {
      const auto place = static_cast<std::size_t>(3 * (y * raster.width() + x));
      const Rgb got = {bytes[place], bytes[place + 1], bytes[place + 2]};
      ASSERT_EQ(got, raster.at(x, y)) << "pixel " << x << ", " << y;
    }
  }
}

TEST(Png, OnePixel) {
  expect_decodes(Raster(1, 1, {1, 2, 255}));
}

TEST(Png, EveryPixelAnother) {
  Raster raster(37, 23, {0, 0, 0});
  for (std::int64_t y = 0; y < raster.height(); ++y) {
    for (std::int64_t x = 0; x < raster.width(); ++x) {
      raster.at(x, y) = {static_cast<std::uint8_t>(91 * x + 7 * y),
                         static_cast<std::uint8_t>(x * y), static_cast<std::uint8_t>(255 - x)};
    }
  }
  expect_decodes(raster);
}

TEST(Png, RowsThatRepeatTakeLessThanAHundredth) {
  Raster raster(64, 512, {10, 20, 30});
  for (std::int64_t y = 0; y < raster.height(); ++y) {
    raster.at(5, y) = {200, 100, 0};
  }
  expect_decodes(raster);
  EXPECT_LT(encode_png(raster).size(), 64U * 512U * 3U / 100U);
}

TEST(Png, SizesThatAreNoPictureAreErrors) {
  EXPECT_THROW(Raster(0, 4, {}), InternalError);
  EXPECT_THROW(Raster(4, 1 << 16, {}), InternalError);
}

}  // namespace
}  // namespace clausius
