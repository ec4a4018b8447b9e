// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of leaky_relu.
#include "core/ops/leaky_relu/leaky_relu.h"

#include "core/error.h"
#include "core/ops/leaky_relu/leaky_relu_reference.h"

namespace clausius::ops {

LeakyReluForwardTable& leaky_relu_forward_kernels() {
  static LeakyReluForwardTable table("leaky_relu_forward", leaky_relu_forward_reference<double>,
                                     leaky_relu_forward_reference<float>);
  return table;
}

LeakyReluBackwardTable& leaky_relu_backward_kernels() {
  static LeakyReluBackwardTable table("leaky_relu_backward", leaky_relu_backward_reference<double>,
                                      leaky_relu_backward_reference<float>);
  return table;
}

namespace {

void check(const Tensor& x, const Tensor& slope) {
  CLS_CHECK(is_floating(x.dtype()), DtypeError, "[leaky_relu] x is ", x.dtype(),
            "; expected a floating type");
  CLS_CHECK(slope.numel() == 1, ShapeError, "[leaky_relu] slope is ", slope.shape(),
            "; expected one element");
  const Dtype wide = x.dtype() == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32;
  CLS_CHECK(slope.dtype() == wide, DtypeError, "[leaky_relu] slope is ", slope.dtype(),
            "; expected ", wide, " beside ", x.dtype());
}

}  // namespace

Tensor leaky_relu(const Tensor& x, const Tensor& slope) {
  check(x, slope);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  if (x.numel() > 0) {
    leaky_relu_forward_kernels().run(x.device(), x.dtype(), x.contiguous(), slope, y);
  }
  return y;
}

LeakyReluGradients leaky_relu_backward(const Tensor& dy,
                                       const Tensor& x,
                                       const Tensor& slope,
                                       bool with_slope) {
  check(x, slope);
  CLS_CHECK(dy.shape() == x.shape(), ShapeError, "[leaky_relu] dy is ", dy.shape(), ", x is ",
            x.shape());
  CLS_CHECK(dy.dtype() == x.dtype(), DtypeError, "[leaky_relu] dy is ", dy.dtype(), ", x is ",
            x.dtype());
  LeakyReluGradients gradients{.dx = Tensor::empty(x.shape(), x.dtype(), x.device()),
                               .dslope = Tensor()};
  Tensor sum = with_slope ? Tensor::empty({}, Dtype::kF64, x.device()) : Tensor();
  if (x.numel() > 0) {
    leaky_relu_backward_kernels().run(x.device(), x.dtype(), dy.contiguous(), x.contiguous(), slope,
                                      gradients.dx, sum);
  } else if (with_slope) {
    sum.fill(0.0);
  }
  if (with_slope) {
    gradients.dslope = sum.to(slope.dtype()).reshape(slope.shape());
  }
  return gradients;
}

}  // namespace clausius::ops
