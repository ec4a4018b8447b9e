// SPDX-License-Identifier: Apache-2.0
// Softmax: checks, the chosen axis made last, dispatch.
#include "core/ops/softmax/softmax.h"

#include "core/ops/row_checks.h"
#include "core/ops/softmax/softmax_reference.h"

namespace clausius::ops {

SoftmaxForwardTable& softmax_forward_kernels() {
  static SoftmaxForwardTable table("softmax_forward", softmax_forward_reference<double>,
                                   softmax_forward_reference<float>);
  return table;
}

SoftmaxBackwardTable& softmax_backward_kernels() {
  static SoftmaxBackwardTable table("softmax_backward", softmax_backward_reference<double>,
                                    softmax_backward_reference<float>);
  return table;
}

Tensor softmax(const Tensor& x, int axis) {
  detail::check_activation("softmax", x);
  const Tensor turned = x.transpose(axis, -1);
  Tensor y = Tensor::empty(turned.shape(), x.dtype(), x.device());
  if (x.numel() > 0) {
    const Tensor x_RN = detail::rows_of(turned);
    Tensor y_RN = y.reshape(x_RN.shape());
    softmax_forward_kernels().run(x.device(), x.dtype(), x_RN, y_RN);
  }
  return y.transpose(axis, -1).contiguous();
}

Tensor softmax_backward(const Tensor& dy, const Tensor& y, int axis) {
  detail::check_activation("softmax_backward", y);
  detail::check_same("softmax_backward", dy, y);
  const Tensor turned = y.transpose(axis, -1);
  Tensor dx = Tensor::empty(turned.shape(), y.dtype(), y.device());
  if (y.numel() > 0) {
    const Tensor y_RN = detail::rows_of(turned);
    Tensor dx_RN = dx.reshape(y_RN.shape());
    softmax_backward_kernels().run(y.device(), y.dtype(), detail::rows_of(dy.transpose(axis, -1)),
                                   y_RN, dx_RN);
  }
  return dx.transpose(axis, -1).contiguous();
}

}  // namespace clausius::ops
