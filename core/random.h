// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers (Philox 4x32-10, Random123): a value is a pure function of (seed,
// stream, step, sample, element).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/tensor.h"

namespace clausius {

using PhiloxBlock = std::array<std::uint32_t, 4>;

/// Philox 4x32-10: counter words (low first), key words (low first).
/// Check: zero counter and key give 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
[[nodiscard]] PhiloxBlock philox(const PhiloxBlock& counter, std::uint64_t key);

/// 32-bit stream number of a name (FNV-1a with a final mix).
[[nodiscard]] std::uint32_t stream_of(std::string_view name);

/// Top 24 bits as a float in [0, 1).
[[nodiscard]] inline float uniform_f32(std::uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1p-24F;
}
/// 53 bits as a double in [0, 1).
[[nodiscard]] inline double uniform_f64(std::uint32_t high, std::uint32_t low) {
  return static_cast<double>(((std::uint64_t{high} << 32) | low) >> 11) * 0x1p-53;
}

/// One place in the space of random numbers: no state, copied freely, the same on every rank and
/// thread.
struct RandomStream {
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;
  std::uint32_t step = 0;
  std::uint32_t sample = 0;

  /// Words 4 i .. 4 i + 3.
  [[nodiscard]] PhiloxBlock block(std::uint32_t i) const {
    return philox({i, sample, step, stream}, seed);
  }
  [[nodiscard]] std::uint32_t word(std::uint32_t element) const {
    return block(element / 4)[element % 4];
  }
  /// Uniform integer in [0, n), unbiased to 2^-32 (multiply-shift on 64 bits), from words 2 i and 2
  /// i + 1.
  [[nodiscard]] std::uint64_t below(std::uint64_t n, std::uint32_t i) const;
};

/// Fills a dense tensor (f32 or f64) from elements 0, 1, 2 .. of the stream.
void fill_normal(Tensor& tensor, const RandomStream& stream, double mean, double std);
void fill_uniform(Tensor& tensor, const RandomStream& stream, double low, double high);

}  // namespace clausius
