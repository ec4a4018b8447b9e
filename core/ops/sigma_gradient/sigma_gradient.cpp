// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of sigma_products and sigma_apply.
#include "core/ops/sigma_gradient/sigma_gradient.h"

#include "core/ops/sigma_gradient/sigma_gradient_reference.h"

namespace clausius::ops {
namespace {

void check_shapes(std::string_view op, const SigmaMatrix& matrix, std::size_t e) {
  const Tensor& weight = matrix.weight_MN;
  CLS_CHECK(weight.rank() == 2 && weight.numel() > 0 && weight.last_is_dense(), ShapeError, "[", op,
            "] weight ", e, " is ", weight.shape(), " with strides ", weight.strides(),
            "; expected [M, N] with elements and dense rows");
  CLS_CHECK(matrix.gradient_MN.shape() == weight.shape() && matrix.gradient_MN.last_is_dense(),
            ShapeError, "[", op, "] gradient ", e, " is ", matrix.gradient_MN.shape(),
            " with strides ", matrix.gradient_MN.strides(), "; expected ", weight.shape(),
            " with dense rows");
  CLS_CHECK(matrix.u_N.shape() == Shape{weight.size(1)} && matrix.u_N.is_contiguous() &&
                matrix.v_M.shape() == Shape{weight.size(0)} && matrix.v_M.is_contiguous(),
            ShapeError, "[", op, "] matrix ", e, " is ", weight.shape(), ", u is ",
            matrix.u_N.shape(), ", v is ", matrix.v_M.shape(), "; expected (", weight.size(1),
            ") and (", weight.size(0), ") dense");
  CLS_CHECK(matrix.sigma.numel() == 1 && (!matrix.gamma || matrix.gamma.numel() == 1), ShapeError,
            "[", op, "] sigma ", e, " is ", matrix.sigma.shape(), ", gamma is ",
            matrix.gamma.shape(), "; expected one element each");
  CLS_CHECK(matrix.c_S.rank() == 1 && matrix.c_S.is_contiguous() && matrix.slot >= 0 &&
                matrix.slot < matrix.c_S.numel(),
            ShapeError, "[", op, "] c ", e, " is ", matrix.c_S.shape(), "; expected slot ",
            matrix.slot, " to be one of its elements");
}

void check_matrices(std::string_view op, std::span<const SigmaMatrix> matrices) {
  const Tensor& first = matrices[0].weight_MN;
  CLS_CHECK(first.dtype() == Dtype::kF32 || first.dtype() == Dtype::kF64, DtypeError, "[", op,
            "] weight 0 is ", first.dtype(), "; expected f32 (the master's type)");
  for (std::size_t e = 0; e < matrices.size(); ++e) {
    const SigmaMatrix& matrix = matrices[e];
    check_shapes(op, matrix, e);
    for (const Tensor* x : {&matrix.weight_MN, &matrix.gradient_MN, &matrix.u_N, &matrix.v_M,
                            &matrix.sigma, &matrix.gamma}) {
      CLS_CHECK((x == &matrix.gamma && !x->defined()) ||
                    (x->dtype() == first.dtype() && x->device() == first.device()),
                DtypeError, "[", op, "] matrix ", e, " has a part of ", x->dtype(), "; expected ",
                first.dtype(), " where the first weight is");
    }
    CLS_CHECK(matrix.c_S.dtype() == Dtype::kF64 && matrix.c_S.device() == first.device(),
              DtypeError, "[", op, "] c ", e, " is ", matrix.c_S.dtype(),
              "; expected f64 where the weights are");
  }
}

}  // namespace

SigmaProductsKernels& sigma_products_kernels() {
  static SigmaProductsKernels table("sigma_products", sigma_products_reference<double>,
                                    sigma_products_reference<float>);
  return table;
}

SigmaApplyKernels& sigma_apply_kernels() {
  static SigmaApplyKernels table("sigma_apply", sigma_apply_reference<double>,
                                 sigma_apply_reference<float>);
  return table;
}

void sigma_products(std::span<const SigmaMatrix> matrices) {
  if (!matrices.empty()) {
    check_matrices("sigma_products", matrices);
    const Tensor& first = matrices[0].weight_MN;
    sigma_products_kernels().run(first.device(), first.dtype(), matrices);
  }
}

void sigma_apply(std::span<const SigmaMatrix> matrices, bool grad_through_sigma) {
  if (!matrices.empty()) {
    check_matrices("sigma_apply", matrices);
    const Tensor& first = matrices[0].weight_MN;
    sigma_apply_kernels().run(first.device(), first.dtype(), matrices, grad_through_sigma);
  }
}

void sigma_finish_gradients(std::span<const SigmaMatrix> matrices, bool grad_through_sigma) {
  sigma_products(matrices);
  sigma_apply(matrices, grad_through_sigma);
}

}  // namespace clausius::ops
