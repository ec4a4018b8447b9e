// SPDX-License-Identifier: Apache-2.0
// Reductions by their definition, over the middle of dense [O, N, I] tensors.
#pragma once

#include <cmath>

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void sum_reference(const Tensor& x, Tensor& y, double factor) {
  const View<const T, 3> in(x);
  const View<T, 2> out(y);
  for (std::int64_t o = 0; o < x.size(0); ++o) {
    for (std::int64_t i = 0; i < x.size(2); ++i) {
      double total = 0;
      for (std::int64_t n = 0; n < x.size(1); ++n) {
        total += static_cast<double>(in(o, n, i));
      }
      out(o, i) = static_cast<T>(factor * total);
    }
  }
}

template <class T>
void max_reference(const Tensor& x, Tensor& value, Tensor& index) {
  const View<const T, 3> in(x);
  const View<T, 2> out(value);
  const View<std::int64_t, 2> where(index);
  for (std::int64_t o = 0; o < x.size(0); ++o) {
    for (std::int64_t i = 0; i < x.size(2); ++i) {
      std::int64_t best = 0;
      for (std::int64_t n = 1; n < x.size(1); ++n) {
        if (!std::isnan(in(o, best, i)) && !(in(o, n, i) <= in(o, best, i))) {
          best = n;
        }
      }
      out(o, i) = in(o, best, i);
      where(o, i) = best;
    }
  }
}

template <class T>
void max_backward_reference(const Tensor& dy, const Tensor& index, Tensor& dx) {
  const View<const T, 2> gradient(dy);
  const View<const std::int64_t, 2> where(index);
  const View<T, 3> out(dx);
  dx.fill(0);
  for (std::int64_t o = 0; o < dx.size(0); ++o) {
    for (std::int64_t i = 0; i < dx.size(2); ++i) {
      out(o, where(o, i), i) = gradient(o, i);
    }
  }
}

}  // namespace clausius::ops
