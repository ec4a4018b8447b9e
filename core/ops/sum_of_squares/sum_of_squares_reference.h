// SPDX-License-Identifier: Apache-2.0
// The definition of sum_of_squares.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void sum_of_squares_reference(const Tensor& x_N, double& sum) {
  sum = 0;
  for (const T value : x_N.span<T>()) {
    sum += static_cast<double>(value) * static_cast<double>(value);
  }
}

}  // namespace clausius::ops
