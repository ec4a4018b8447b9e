// SPDX-License-Identifier: Apache-2.0
// Gradient rule of linear_activation.
#include "autograd/rules/linear_activation.h"

#include "autograd/rules/linear_gradients.h"
#include "autograd/tape.h"
#include "core/ops/linear_activation/linear_activation.h"

namespace clausius {

namespace {

ops::LinearActivationOutput scaled_forward(const Tensor& x,
                                           const Tensor& weight_NM,
                                           const Tensor& bias_N,
                                           const ops::PointwiseForwardTable& f,
                                           bool keep_pre,
                                           const RowScales& scales) {
  if (scales.empty()) {
    return ops::linear_activation(x, weight_NM, bias_N, f, keep_pre);
  }
  const Tensor pre = detail::scaled_linear(x, weight_NM, bias_N, scales);
  Tensor y = keep_pre ? Tensor::empty(pre.shape(), pre.dtype(), pre.device()) : pre;
  if (pre.numel() > 0) {
    f.run(pre.device(), pre.dtype(), pre, y);
  }
  return {.y = y, .pre = keep_pre ? pre : Tensor()};
}

}  // namespace

// y = f(p), p = alpha x W^T + b;  dp = f'(p) dy;  dx = alpha dp W;  dW_hat = dp^T x;  db = sum of dp's rows. Saves p, x for dW_hat,
// W for dx.
Variable linear_activation(const Variable& x,
                           const Variable& weight_NM,
                           const Variable& bias_N,
                           const PointwiseOp& f,
                           const RowScales& scales) {
  const bool tracked = x.tracked() || weight_NM.tracked() || bias_N.tracked();
  const ops::LinearActivationOutput out =
      scaled_forward(x.value(), weight_NM.value(), bias_N.value(), f.forward, tracked, scales);
  const auto backward = [scales, pre = out.pre, &derive = f.backward,
                         saved_x = weight_NM.tracked() ? x.value() : Tensor(),
                         saved_weight = x.tracked() ? weight_NM.value() : Tensor()](Backward& b) {
    Tensor dpre = Tensor::empty(pre.shape(), pre.dtype(), pre.device());
    derive.run(pre.device(), pre.dtype(), b.dy().contiguous(), pre, dpre);
    detail::give_linear_gradients(b, dpre, saved_x, saved_weight, scales);
  };
  return record("linear_activation", out.y, {x, weight_NM, bias_N}, backward);
}

}  // namespace clausius
