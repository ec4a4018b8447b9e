// SPDX-License-Identifier: Apache-2.0
// Dropout by its definition, one random word at a time.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/random.h"
#include "core/tensor.h"

namespace clausius::ops {

/// Words below it are dropped.
[[nodiscard]] inline std::uint32_t dropout_threshold(double p) {
  return static_cast<std::uint32_t>(std::min(std::round(p * 0x1p32), 0x1p32 - 1));
}

/// The stream of one sample; ids beyond 32 bits keep their low bits.
[[nodiscard]] inline RandomStream stream_of_sample(const RandomStream& stream,
                                                   std::int64_t sample) {
  RandomStream own = stream;
  own.sample = static_cast<std::uint32_t>(sample & 0xffffffff);
  return own;
}

template <class T>
void dropout_reference(
    const Tensor& x, const Tensor& samples, Tensor& y, double p, const RandomStream& stream) {
  const std::int64_t width = x.size(1);
  const std::uint32_t threshold = dropout_threshold(p);
  const auto scale = static_cast<T>(1.0 / (1.0 - p));
  for (std::int64_t b = 0; b < x.size(0); ++b) {
    const RandomStream own = stream_of_sample(stream, samples.data<std::int64_t>()[b]);
    for (std::int64_t i = 0; i < width; ++i) {
      const std::uint32_t word =
          own.block(static_cast<std::uint32_t>(i / 4))[static_cast<std::size_t>(i % 4)];
      y.data<T>()[b * width + i] = word < threshold ? T(0) : scale * x.data<T>()[b * width + i];
    }
  }
}

}  // namespace clausius::ops
