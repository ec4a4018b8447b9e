// SPDX-License-Identifier: Apache-2.0
// Rotary embedding by its definition.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void rope_reference(const Tensor& x,
                    const Tensor& positions,
                    const Tensor& cos,
                    const Tensor& sin,
                    Tensor& y,
                    int sign) {
  const View<const T, 4> in(x);
  const View<T, 4> out(y);
  const View<const std::int32_t, 2> position(positions);
  const View<const T, 2> cosine(cos);
  const View<const T, 2> sine(sin);
  const std::int64_t half = x.size(3) / 2;
  for (std::int64_t b = 0; b < x.size(0); ++b) {
    for (std::int64_t t = 0; t < x.size(1); ++t) {
      const std::int64_t p = position(b, t);
      for (std::int64_t h = 0; h < x.size(2); ++h) {
        for (std::int64_t i = 0; i < half; ++i) {
          const T c = cosine(p, i);
          const T s = static_cast<T>(sign) * sine(p, i);
          const T first = in(b, t, h, i);
          const T second = in(b, t, h, i + half);
          out(b, t, h, i) = first * c - second * s;
          out(b, t, h, i + half) = second * c + first * s;
        }
      }
    }
  }
}

}  // namespace clausius::ops
