// SPDX-License-Identifier: Apache-2.0
// The definition of scaled_add.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void scaled_add_forward_reference(
    const Tensor& a, const Tensor& a_factor, const Tensor& b, const Tensor& b_factor, Tensor& y) {
  const T p = a_factor.data<T>()[0];
  const T q = b_factor.data<T>()[0];
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    y.data<T>()[i] = p * a.data<T>()[i] + q * b.data<T>()[i];
  }
}

template <class T>
void scaled_add_backward_reference(const Tensor& dy,
                                   const Tensor& a,
                                   const Tensor& a_factor,
                                   const Tensor& b,
                                   const Tensor& b_factor,
                                   Tensor& da,
                                   Tensor& db,
                                   Tensor& sums) {
  const T p = a_factor.data<T>()[0];
  const T q = b_factor.data<T>()[0];
  double sum_a = 0;
  double sum_b = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    const T gradient = dy.data<T>()[i];
    da.data<T>()[i] = p * gradient;
    db.data<T>()[i] = q * gradient;
    sum_a += static_cast<double>(gradient) * static_cast<double>(a.data<T>()[i]);
    sum_b += static_cast<double>(gradient) * static_cast<double>(b.data<T>()[i]);
  }
  sums.data<double>()[0] = sum_a;
  sums.data<double>()[1] = sum_b;
}

}  // namespace clausius::ops
