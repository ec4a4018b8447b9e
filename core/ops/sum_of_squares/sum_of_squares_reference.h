// SPDX-License-Identifier: Apache-2.0
// The definition of sum_of_squares.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void sum_of_squares_reference(const Tensor& x_N, Tensor& sum) {
  double total = 0;
  for (const T value : x_N.span<T>()) {
    total += static_cast<double>(value) * static_cast<double>(value);
  }
  sum.data<double>()[0] = total;
}

}  // namespace clausius::ops
