// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of weight_norm and its gradients.
#include "core/ops/weight_norm/weight_norm.h"

#include "core/ops/weight_norm/weight_norm_reference.h"

namespace clausius::ops {
namespace {

void check_matrix(std::string_view op, const Tensor& x, const Tensor& v_MN) {
  CLS_CHECK(v_MN.rank() == 2 && x.shape() == v_MN.shape() && x.last_is_dense(), ShapeError, "[", op,
            "] a matrix is ", x.shape(), " with strides ", x.strides(), ", v is ", v_MN.shape(),
            "; expected one shape [M, N] and dense rows");
  CLS_CHECK(
      (v_MN.dtype() == Dtype::kF32 || v_MN.dtype() == Dtype::kF64) && x.device() == v_MN.device(),
      DtypeError, "[", op, "] v is ", v_MN.dtype(), "; expected f32 (the master's type)");
}

void check_vector(std::string_view op, const Tensor& x, std::int64_t rows, Dtype dtype) {
  CLS_CHECK(x.shape() == Shape{rows} && x.is_contiguous(), ShapeError, "[", op, "] a vector is ",
            x.shape(), "; expected (", rows, ") dense");
  CLS_CHECK(x.dtype() == dtype, DtypeError, "[", op, "] a vector is ", x.dtype(), "; expected ",
            dtype);
}

}  // namespace

WeightNormKernels& weight_norm_kernels() {
  static WeightNormKernels table("weight_norm", weight_norm_reference<double>,
                                 weight_norm_reference<float>);
  return table;
}

WeightNormProductsKernels& weight_norm_products_kernels() {
  static WeightNormProductsKernels table("weight_norm_products",
                                         weight_norm_products_reference<double>,
                                         weight_norm_products_reference<float>);
  return table;
}

WeightNormApplyKernels& weight_norm_apply_kernels() {
  static WeightNormApplyKernels table("weight_norm_apply", weight_norm_apply_reference<double>,
                                      weight_norm_apply_reference<float>);
  return table;
}

WeightNormGainGradientKernels& weight_norm_gain_gradient_kernels() {
  static WeightNormGainGradientKernels table("weight_norm_gain_gradient",
                                             weight_norm_gain_gradient_reference<double>,
                                             weight_norm_gain_gradient_reference<float>);
  return table;
}

void weight_norm(const Tensor& v_MN, const Tensor& gain_M, Tensor& norm_M, Tensor& w_MN) {
  check_matrix("weight_norm", v_MN, v_MN);
  check_matrix("weight_norm", w_MN, v_MN);
  check_vector("weight_norm", gain_M, v_MN.size(0), v_MN.dtype());
  check_vector("weight_norm", norm_M, v_MN.size(0), v_MN.dtype());
  CLS_CHECK(
      w_MN.dtype() == v_MN.dtype() || (w_MN.dtype() == Dtype::kBf16 && v_MN.dtype() == Dtype::kF32),
      DtypeError, "[weight_norm] w is ", w_MN.dtype(), " for v of ", v_MN.dtype());
  if (v_MN.numel() > 0) {
    weight_norm_kernels().run(v_MN.device(), v_MN.dtype(), v_MN, gain_M, norm_M, w_MN);
  }
}

void weight_norm_products(const Tensor& v_MN, const Tensor& gradient_MN, Tensor& c_M) {
  check_matrix("weight_norm_products", v_MN, v_MN);
  check_matrix("weight_norm_products", gradient_MN, v_MN);
  check_vector("weight_norm_products", c_M, v_MN.size(0), Dtype::kF64);
  if (v_MN.numel() > 0) {
    weight_norm_products_kernels().run(v_MN.device(), v_MN.dtype(), v_MN, gradient_MN, c_M);
  }
}

void weight_norm_apply(const Tensor& v_MN,
                       const Tensor& gain_M,
                       const Tensor& norm_M,
                       const Tensor& c_M,
                       Tensor& gradient_MN) {
  check_matrix("weight_norm_apply", v_MN, v_MN);
  check_matrix("weight_norm_apply", gradient_MN, v_MN);
  check_vector("weight_norm_apply", gain_M, v_MN.size(0), v_MN.dtype());
  check_vector("weight_norm_apply", norm_M, v_MN.size(0), v_MN.dtype());
  check_vector("weight_norm_apply", c_M, v_MN.size(0), Dtype::kF64);
  if (v_MN.numel() > 0) {
    weight_norm_apply_kernels().run(v_MN.device(), v_MN.dtype(), v_MN, gain_M, norm_M, c_M,
                                    gradient_MN);
  }
}

void weight_norm_gain_gradient(const Tensor& norm_M, const Tensor& c_M, Tensor& dgain_M) {
  const std::int64_t rows = norm_M.numel();
  check_vector("weight_norm_gain_gradient", c_M, rows, Dtype::kF64);
  check_vector("weight_norm_gain_gradient", dgain_M, rows, norm_M.dtype());
  if (rows > 0) {
    weight_norm_gain_gradient_kernels().run(norm_M.device(), norm_M.dtype(), norm_M, c_M, dgain_M);
  }
}

CLS_KERNEL(weight_norm_gain_gradient, kCpu, kF32, weight_norm_gain_gradient_reference<float>);

}  // namespace clausius::ops
