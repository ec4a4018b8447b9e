// SPDX-License-Identifier: Apache-2.0
// Checks, flattening and dispatch of linear and its gradients.
#include "core/ops/linear/linear.h"

#include "core/ops/linear/linear_reference.h"
#include "core/ops/matmul/as_matrix.h"
#include "core/ops/matmul/matmul.h"

namespace clausius::ops {
namespace {

Shape with_last(Shape shape, std::int64_t last) {
  shape[-1] = last;
  return shape;
}

Dtype gradient_dtype(Dtype dtype) {
  return dtype == Dtype::kBf16 ? Dtype::kF32 : dtype;
}

}  // namespace

void detail::check_linear_operands(const Tensor& x, const Tensor& weight_NM, const Tensor& bias_N) {
  CLS_CHECK(x.rank() >= 1 && weight_NM.rank() == 2 && x.size(-1) == weight_NM.size(1), ShapeError,
            "[linear] x is ", x.shape(), ", weight is ", weight_NM.shape(),
            "; expected x (.., M) and weight [N, M]");
  CLS_CHECK(is_floating(x.dtype()) && x.dtype() == weight_NM.dtype(), DtypeError, "[linear] x is ",
            x.dtype(), ", weight is ", weight_NM.dtype(), "; expected one floating type");
  if (bias_N) {
    CLS_CHECK(bias_N.shape() == Shape{weight_NM.size(0)}, ShapeError, "[linear] bias is ",
              bias_N.shape(), "; expected (", weight_NM.size(0), ")");
    CLS_CHECK(bias_N.dtype() == gradient_dtype(x.dtype()), DtypeError, "[linear] bias is ",
              bias_N.dtype(), "; expected ", gradient_dtype(x.dtype()), " with x of ", x.dtype());
  }
}

LinearForwardKernels& linear_forward_kernels() {
  static LinearForwardKernels table("linear_forward", linear_reference<double>,
                                    linear_reference<float>);
  return table;
}

LinearBiasGradientKernels& linear_bias_gradient_kernels() {
  static LinearBiasGradientKernels table("linear_bias_gradient",
                                         linear_bias_gradient_reference<double>,
                                         linear_bias_gradient_reference<float>);
  return table;
}

void linear(const Tensor& x,
            const Tensor& weight_NM,
            const Tensor& bias_N,
            Tensor& y,
            const Tensor& alpha) {
  detail::check_linear_operands(x, weight_NM, bias_N);
  detail::check_factor("linear", alpha, x.dtype(), x.device());
  CLS_CHECK(y.shape() == with_last(x.shape(), weight_NM.size(0)) && y.dtype() == x.dtype(),
            ShapeError, "[linear] y is ", y.shape(), " of ", y.dtype(), "; expected ",
            with_last(x.shape(), weight_NM.size(0)), " of ", x.dtype());
  CLS_CHECK(rows_merge(y), ShapeError, "[linear] y has strides ", y.strides(),
            "; expected evenly spaced rows");
  if (y.numel() == 0) {
    return;
  }
  Tensor y_RN = as_matrix(y);
  if (x.size(-1) == 0) {
    return bias_N ? y_RN.copy_from(bias_N.expand(y_RN.shape())) : y.fill(0.0);
  }
  linear_forward_kernels().run(x.device(), x.dtype(), as_matrix(x), weight_NM, bias_N, y_RN, alpha);
}

Tensor linear(const Tensor& x, const Tensor& weight_NM, const Tensor& bias_N, const Tensor& alpha) {
  detail::check_linear_operands(x, weight_NM, bias_N);
  Tensor y = Tensor::empty(with_last(x.shape(), weight_NM.size(0)), x.dtype(), x.device());
  linear(x, weight_NM, bias_N, y, alpha);
  return y;
}

void linear_input_gradient(
    const Tensor& dy, const Tensor& weight_NM, Tensor& dx, bool accumulate, const Tensor& alpha) {
  Tensor dx_rows = dx.rank() == 1 ? as_matrix(dx) : dx;
  matmul(dy.rank() == 1 ? as_matrix(dy) : dy, weight_NM, dx_rows, 1.0, accumulate, alpha);
}

void linear_weight_gradient(const Tensor& dy,
                            const Tensor& x,
                            Tensor& dweight_NM,
                            bool accumulate) {
  matmul(as_matrix(dy).transpose(0, 1), as_matrix(x), dweight_NM, 1.0, accumulate);
}

void linear_bias_gradient(const Tensor& dy, Tensor& dbias_N, bool accumulate) {
  CLS_CHECK(dbias_N.shape() == Shape{dy.size(-1)} && dbias_N.dtype() == gradient_dtype(dy.dtype()),
            ShapeError, "[linear] dbias is ", dbias_N.shape(), " of ", dbias_N.dtype(),
            "; expected (", dy.size(-1), ") of ", gradient_dtype(dy.dtype()));
  if (dbias_N.numel() == 0) {
    return;
  }
  if (dy.numel() == 0) {
    return accumulate ? void() : dbias_N.fill(0.0);
  }
  linear_bias_gradient_kernels().run(dy.device(), dy.dtype(), as_matrix(dy), dbias_N, accumulate);
}

}  // namespace clausius::ops
