// SPDX-License-Identifier: Apache-2.0
// The definition of linear: loops, sums in double.
#pragma once

#include "core/ops/matmul/matmul_reference.h"
#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void linear_reference(const Tensor& x_RM,
                      const Tensor& weight_NM,
                      const Tensor& bias_N,
                      Tensor& y_RN,
                      const Tensor& alpha = {}) {
  matmul_reference<T>(x_RM, weight_NM.transpose(0, 1), y_RN, 1.0, false, alpha);
  if (!bias_N) {
    return;
  }
  const View<const T, 1> bias(bias_N);
  const View<T, 2> y(y_RN);
  for (std::int64_t r = 0; r < y_RN.size(0); ++r) {
    for (std::int64_t n = 0; n < y_RN.size(1); ++n) {
      y(r, n) += bias(n);
    }
  }
}

template <class T>
void linear_bias_gradient_reference(const Tensor& dy_RN, Tensor& dbias_N, bool accumulate) {
  const View<const T, 2> dy(dy_RN);
  const View<T, 1> dbias(dbias_N);
  for (std::int64_t n = 0; n < dy_RN.size(1); ++n) {
    double sum = accumulate ? static_cast<double>(dbias(n)) : 0.0;
    for (std::int64_t r = 0; r < dy_RN.size(0); ++r) {
      sum += static_cast<double>(dy(r, n));
    }
    dbias(n) = static_cast<T>(sum);
  }
}

}  // namespace clausius::ops
