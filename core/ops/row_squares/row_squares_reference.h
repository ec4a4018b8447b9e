// SPDX-License-Identifier: Apache-2.0
// The definition of row_squares.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void row_squares_reference(const Tensor& x_BTM, const Tensor& lengths_B, Tensor& sums) {
  const View<const T, 3> x(x_BTM);
  for (std::int64_t b = 0; b < x_BTM.size(0); ++b) {
    for (std::int64_t t = 0; t < lengths_B.data<std::int32_t>()[b]; ++t) {
      for (std::int64_t m = 0; m < x_BTM.size(2); ++m) {
        sums.data<double>()[0] += static_cast<double>(x(b, t, m)) * static_cast<double>(x(b, t, m));
        sums.data<double>()[1] += 1;
      }
    }
  }
}

}  // namespace clausius::ops
