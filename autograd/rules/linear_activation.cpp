// SPDX-License-Identifier: Apache-2.0
// Gradient rule of linear_activation.
#include "autograd/rules/linear_activation.h"

#include "autograd/rules/linear_gradients.h"
#include "autograd/tape.h"
#include "core/ops/linear_activation/linear_activation.h"

namespace clausius {

// y = f(p), p = x W^T + b;  dp = f'(p) dy;  dx = dp W;  dW = dp^T x;  db = sum of dp's rows. Saves p, x for dW, W for dx.
Variable linear_activation(const Variable& x,
                           const Variable& weight_NM,
                           const Variable& bias_N,
                           const PointwiseOp& f) {
  const bool tracked = x.tracked() || weight_NM.tracked() || bias_N.tracked();
  const ops::LinearActivationOutput out =
      ops::linear_activation(x.value(), weight_NM.value(), bias_N.value(), f.forward, tracked);
  const auto backward = [pre = out.pre, &derive = f.backward,
                         saved_x = weight_NM.tracked() ? x.value() : Tensor(),
                         saved_weight = x.tracked() ? weight_NM.value() : Tensor()](Backward& b) {
    Tensor dpre = Tensor::empty(pre.shape(), pre.dtype(), pre.device());
    derive.run(pre.device(), pre.dtype(), b.dy().contiguous(), pre, dpre);
    detail::give_linear_gradients(b, dpre, saved_x, saved_weight);
  };
  return record("linear_activation", out.y, {x, weight_NM, bias_N}, backward);
}

}  // namespace clausius
