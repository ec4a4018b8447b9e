// SPDX-License-Identifier: Apache-2.0
// Gradient rule of linear.
#include "autograd/rules/linear.h"

#include "autograd/rules/linear_gradients.h"
#include "autograd/tape.h"

namespace clausius {

// y = alpha x W^T + b;  dx = alpha dy W;  dW_hat = dy^T x;  db = sum of dy's rows. Saves x for dW_hat, W for dx.
Variable linear(const Variable& x,
                const Variable& weight_NM,
                const Variable& bias_N,
                const RowScales& scales) {
  const auto backward = [scales, saved_x = weight_NM.tracked() ? x.value() : Tensor(),
                         saved_weight = x.tracked() ? weight_NM.value() : Tensor()](Backward& b) {
    detail::give_linear_gradients(b, b.dy(), saved_x, saved_weight, scales);
  };
  return record("linear",
                detail::scaled_linear(x.value(), weight_NM.value(), bias_N.value(), scales),
                {x, weight_NM, bias_N}, backward);
}

}  // namespace clausius
