// SPDX-License-Identifier: Apache-2.0
// The gradients that every rule around x W^T + b gives.
#pragma once

#include "autograd/tape.h"
#include "core/ops/linear/linear.h"

namespace clausius::detail {

/// dx = alpha dy W, dW = dy^T x and db = sum of dy's rows into the inputs 0, 1 and 2 that need them.
inline void give_linear_gradients(
    Backward& b, const Tensor& dy, const Tensor& x, const Tensor& weight_NM, double alpha = 1.0) {
  if (b.needs(0)) {
    Destination dx = b.destination(0);
    ops::linear_input_gradient(dy, weight_NM, dx.tensor, dx.accumulate, alpha);
  }
  if (b.needs(1)) {
    Destination dweight = b.destination(1);
    ops::linear_weight_gradient(dy, x, dweight.tensor, dweight.accumulate);
  }
  if (b.needs(2)) {
    Destination dbias = b.destination(2);
    ops::linear_bias_gradient(dy, dbias.tensor, dbias.accumulate);
  }
}

}  // namespace clausius::detail
