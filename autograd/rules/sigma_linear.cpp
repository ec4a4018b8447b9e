// SPDX-License-Identifier: Apache-2.0
// Gradient rule of sigma_linear.
#include "autograd/rules/sigma_linear.h"

#include "autograd/rules/linear_gradients.h"
#include "autograd/tape.h"
#include "core/ops/linear/linear.h"

namespace clausius {

// y = alpha x W^T + b;  dx = alpha dy W;  G = dy^T x;  db = sum of dy's rows. Saves x for G, W for dx.
Variable sigma_linear(const Variable& x,
                      const Variable& weight_NM,
                      const Variable& bias_N,
                      double alpha) {
  const auto backward = [alpha, saved_x = weight_NM.tracked() ? x.value() : Tensor(),
                         saved_weight = x.tracked() ? weight_NM.value() : Tensor()](Backward& b) {
    detail::give_linear_gradients(b, b.dy(), saved_x, saved_weight, alpha);
  };
  return record("sigma_linear", ops::linear(x.value(), weight_NM.value(), bias_N.value(), alpha),
                {x, weight_NM, bias_N}, backward);
}

}  // namespace clausius
