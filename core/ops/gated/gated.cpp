// SPDX-License-Identifier: Apache-2.0
// Gated units: checks, allocation, dispatch.
#include "core/ops/gated/gated.h"

#include "core/ops/gated/gated_reference.h"
#include "core/ops/row_checks.h"

namespace clausius::ops {

GatedForwardTable& gated_forward_kernels() {
  static GatedForwardTable table("gated_forward", gated_forward_reference<double>,
                                 gated_forward_reference<float>);
  return table;
}

GatedBackwardTable& gated_backward_kernels() {
  static GatedBackwardTable table("gated_backward", gated_backward_reference<double>,
                                  gated_backward_reference<float>);
  return table;
}

namespace {
Shape output_shape(const Tensor& x) {
  CLS_CHECK(x.size(-1) % 2 == 0, ShapeError, "gated: the last size of ", x.shape(),
            " is odd; expected gate and value halves");
  Shape shape = x.shape();
  shape[-1] /= 2;
  return shape;
}
}  // namespace

Tensor gated(const Tensor& x, Gate gate) {
  detail::check_activation("gated", x);
  Tensor y = Tensor::empty(output_shape(x), x.dtype(), x.device());
  if (x.numel() > 0) {
    const Tensor x_RG = detail::rows_of(x);
    Tensor y_RF = y.reshape({x_RG.size(0), y.size(-1)});
    gated_forward_kernels().run(x.device(), x.dtype(), x_RG, y_RF, gate);
  }
  return y;
}

Tensor gated_backward(const Tensor& dy, const Tensor& x, Gate gate) {
  detail::check_activation("gated_backward", x);
  CLS_CHECK(dy.dtype() == x.dtype(), DtypeError, "gated_backward: dy is ", dy.dtype(), " and x is ",
            x.dtype());
  CLS_CHECK(dy.shape() == output_shape(x), ShapeError, "gated_backward: dy is ", dy.shape(),
            " for x ", x.shape());
  Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  if (x.numel() > 0) {
    const Tensor x_RG = detail::rows_of(x);
    Tensor dx_RG = dx.reshape(x_RG.shape());
    gated_backward_kernels().run(x.device(), x.dtype(), detail::rows_of(dy), x_RG, dx_RG, gate);
  }
  return dx;
}

}  // namespace clausius::ops
