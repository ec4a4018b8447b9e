// SPDX-License-Identifier: Apache-2.0
// Numbers as the page takes them: bytes of fixed size, in base64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace clausius::web {

[[nodiscard]] std::string base64(std::span<const std::byte> bytes);

/// Little-endian f64, as they are.
[[nodiscard]] std::string pack_f64(std::span<const double> values);

/// Where quantised numbers lie between.
struct Range {
  double low = 0;
  double high = 0;
};

/// Smallest and largest finite value; {0, 0} without any.
[[nodiscard]] Range range_of(std::span<const float> values);

/// Quantised to `Code` (u8 or u16): code 0 is NaN, 1 the range's low end, the largest code its high end; infinities go to the ends.
/// Value:   little-endian codes in base64; a finite value inside the range comes back within half a code, (high - low) / (2 (largest - 1)).
template <class Code>
[[nodiscard]] std::string pack(std::span<const float> values, const Range& range);

extern template std::string pack<std::uint8_t>(std::span<const float>, const Range&);
extern template std::string pack<std::uint16_t>(std::span<const float>, const Range&);

}  // namespace clausius::web
