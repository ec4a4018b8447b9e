// SPDX-License-Identifier: Apache-2.0
// The definition of matmul: three loops, sums in double.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void matmul_matrix_reference(
    const Tensor& a, const Tensor& b, Tensor& out, double alpha, bool accumulate) {
  const View<const T, 2> a_MK(a);
  const View<const T, 2> b_KN(b);
  const View<T, 2> out_MN(out);
  for (std::int64_t m = 0; m < out.size(0); ++m) {
    for (std::int64_t n = 0; n < out.size(1); ++n) {
      double sum = 0;
      for (std::int64_t k = 0; k < a.size(1); ++k) {
        sum += static_cast<double>(a_MK(m, k)) * static_cast<double>(b_KN(k, n));
      }
      const double before = accumulate ? static_cast<double>(out_MN(m, n)) : 0.0;
      out_MN(m, n) = static_cast<T>(before + alpha * sum);
    }
  }
}

template <class T>
void matmul_reference(const Tensor& a,
                      const Tensor& b,
                      Tensor& out,
                      double alpha,
                      bool accumulate,
                      const Tensor& factor) {
  if (out.rank() == 2) {
    const double scale = factor ? alpha * static_cast<double>(*factor.data<T>()) : alpha;
    return matmul_matrix_reference<T>(a, b, out, scale, accumulate);
  }
  for (std::int64_t i = 0; i < out.size(0); ++i) {
    Tensor part = out.select(0, i);
    matmul_reference<T>(a.select(0, i), b.select(0, i), part, alpha, accumulate, factor);
  }
}

}  // namespace clausius::ops
