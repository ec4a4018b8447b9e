// SPDX-License-Identifier: Apache-2.0
// Quantising, and base64.
#include "train/web/packing.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace clausius::web {
namespace {

static_assert(std::endian::native == std::endian::little, "the page reads little-endian numbers");

}  // namespace

std::string base64(std::span<const std::byte> bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text((bytes.size() + 2) / 3 * 4, '=');
  std::size_t out = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 3, out += 4) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k <= count; ++k) {
      text[out + k] = kDigits[group >> (18 - 6 * k) & 63U];
    }
  }
  return text;
}

std::string pack_f64(std::span<const double> values) {
  return base64(std::as_bytes(values));
}

Range range_of(std::span<const float> values) {
  Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const float value : values) {
    if (std::isfinite(value)) {
      range.low = std::min(range.low, static_cast<double>(value));
      range.high = std::max(range.high, static_cast<double>(value));
    }
  }
  return range.low <= range.high ? range : Range{};
}

template <class Code>
std::string pack(std::span<const float> values, const Range& range) {
  constexpr double kLargest = std::numeric_limits<Code>::max();
  const double width = range.high - range.low;
  const double scale = width > 0 ? (kLargest - 1) / width : 0;
  std::vector<Code> codes(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isnan(values[i])) {
      const double inside = std::clamp(static_cast<double>(values[i]), range.low, range.high);
      codes[i] = static_cast<Code>(1 + std::lround((inside - range.low) * scale));
    }
  }
  return base64(std::as_bytes(std::span<const Code>(codes)));
}

template std::string pack<std::uint8_t>(std::span<const float>, const Range&);
template std::string pack<std::uint16_t>(std::span<const float>, const Range&);

}  // namespace clausius::web
