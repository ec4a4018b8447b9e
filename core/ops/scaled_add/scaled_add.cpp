// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of scaled_add.
#include "core/ops/scaled_add/scaled_add.h"

#include "core/error.h"
#include "core/ops/scaled_add/scaled_add_reference.h"

namespace clausius::ops {

ScaledAddForwardTable& scaled_add_forward_kernels() {
  static ScaledAddForwardTable table("scaled_add_forward", scaled_add_forward_reference<double>,
                                     scaled_add_forward_reference<float>);
  return table;
}

ScaledAddBackwardTable& scaled_add_backward_kernels() {
  static ScaledAddBackwardTable table("scaled_add_backward", scaled_add_backward_reference<double>,
                                      scaled_add_backward_reference<float>);
  return table;
}

namespace {

void check(const Tensor& a, const Tensor& a_factor, const Tensor& b, const Tensor& b_factor) {
  CLS_CHECK(a.shape() == b.shape(), ShapeError, "[scaled_add] a is ", a.shape(), ", b is ",
            b.shape(), "; expected one shape");
  CLS_CHECK(is_floating(a.dtype()) && a.dtype() == b.dtype(), DtypeError, "[scaled_add] a is ",
            a.dtype(), ", b is ", b.dtype(), "; expected one floating type");
  const Dtype wide = a.dtype() == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32;
  for (const Tensor* factor : {&a_factor, &b_factor}) {
    CLS_CHECK(factor->numel() == 1, ShapeError, "[scaled_add] a factor is ", factor->shape(),
              "; expected one element");
    CLS_CHECK(factor->dtype() == wide, DtypeError, "[scaled_add] a factor is ", factor->dtype(),
              "; expected ", wide, " beside ", a.dtype());
  }
}

}  // namespace

Tensor scaled_add(const Tensor& a,
                  const Tensor& a_factor,
                  const Tensor& b,
                  const Tensor& b_factor) {
  check(a, a_factor, b, b_factor);
  Tensor y = Tensor::empty(a.shape(), a.dtype(), a.device());
  if (a.numel() > 0) {
    scaled_add_forward_kernels().run(a.device(), a.dtype(), a.contiguous(), a_factor,
                                     b.contiguous(), b_factor, y);
  }
  return y;
}

ScaledAddGradients scaled_add_backward(const Tensor& dy,
                                       const Tensor& a,
                                       const Tensor& a_factor,
                                       const Tensor& b,
                                       const Tensor& b_factor) {
  check(a, a_factor, b, b_factor);
  CLS_CHECK(dy.shape() == a.shape(), ShapeError, "[scaled_add] dy is ", dy.shape(), ", a is ",
            a.shape());
  CLS_CHECK(dy.dtype() == a.dtype(), DtypeError, "[scaled_add] dy is ", dy.dtype(), ", a is ",
            a.dtype());
  ScaledAddGradients gradients{.da = Tensor::empty(a.shape(), a.dtype(), a.device()),
                               .da_factor = Tensor(),
                               .db = Tensor::empty(a.shape(), a.dtype(), a.device()),
                               .db_factor = Tensor()};
  Tensor sums = Tensor::empty({2}, Dtype::kF64, a.device());
  if (a.numel() > 0) {
    scaled_add_backward_kernels().run(a.device(), a.dtype(), dy.contiguous(), a.contiguous(),
                                      a_factor, b.contiguous(), b_factor, gradients.da,
                                      gradients.db, sums);
  } else {
    sums.fill(0.0);
  }
  const Tensor wide = sums.to(a_factor.dtype());
  gradients.da_factor = wide.slice(0, 0, 1).reshape(a_factor.shape());
  gradients.db_factor = wide.slice(0, 1, 2).reshape(b_factor.shape());
  return gradients;
}

}  // namespace clausius::ops
