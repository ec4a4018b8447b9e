// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of sigma_products and sigma_apply.
#include "core/ops/sigma_gradient/sigma_gradient.h"

#include <vector>

#include "core/ops/sigma_gradient/sigma_gradient_reference.h"
#include "core/ops/spectral_refresh/spectral_refresh.h"

namespace clausius::ops {
namespace {

void check_matrices(std::string_view op, std::span<const SigmaMatrix> matrices) {
  const Tensor& first = matrices[0].weight_MN;
  CLS_CHECK(first.dtype() == Dtype::kF32 || first.dtype() == Dtype::kF64, DtypeError, "[", op,
            "] weight 0 is ", first.dtype(), "; expected f32 (the master's type)");
  for (std::size_t e = 0; e < matrices.size(); ++e) {
    const SigmaMatrix& matrix = matrices[e];
    const Tensor& weight = matrix.weight_MN;
    CLS_CHECK(weight.rank() == 2 && weight.numel() > 0 && weight.last_is_dense(), ShapeError, "[",
              op, "] weight ", e, " is ", weight.shape(), " with strides ", weight.strides(),
              "; expected [M, N] with elements and dense rows");
    CLS_CHECK(matrix.gradient_MN.shape() == weight.shape() && matrix.gradient_MN.last_is_dense(),
              ShapeError, "[", op, "] gradient ", e, " is ", matrix.gradient_MN.shape(),
              " with strides ", matrix.gradient_MN.strides(), "; expected ", weight.shape(),
              " with dense rows");
    CLS_CHECK(matrix.gamma.numel() == 1 && matrix.dgamma.numel() == 1, ShapeError, "[", op,
              "] gamma ", e, " is ", matrix.gamma.shape(), ", dgamma is ", matrix.dgamma.shape(),
              "; expected one element each");
    for (const Tensor* x : {&weight, &matrix.gradient_MN, &matrix.gamma, &matrix.dgamma}) {
      CLS_CHECK(x->defined() && x->dtype() == first.dtype() && x->device() == first.device(),
                DtypeError, "[", op, "] matrix ", e, " has a part of ", x->dtype(), "; expected ",
                first.dtype(), " where the first weight is");
    }
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

Tensor sigma_products(std::span<const SigmaMatrix> matrices) {
  if (matrices.empty()) {
    return Tensor::empty({0}, Dtype::kF64);
  }
  check_matrices("sigma_products", matrices);
  const Tensor& first = matrices[0].weight_MN;
  Tensor c = Tensor::empty({std::ssize(matrices)}, Dtype::kF64, first.device());
  sigma_products_kernels().run(first.device(), first.dtype(), matrices, c);
  return c;
}

void sigma_apply(std::span<const SigmaMatrix> matrices,
                 const Tensor& u,
                 const Tensor& v,
                 const Tensor& sigma,
                 const Tensor& c,
                 bool grad_through_sigma) {
  if (matrices.empty()) {
    return;
  }
  check_matrices("sigma_apply", matrices);
  std::vector<Tensor> weights;
  weights.reserve(matrices.size());
  for (const SigmaMatrix& matrix : matrices) {
    weights.push_back(matrix.weight_MN);
  }
  detail::check_spectral_state("sigma_apply", weights, u, v, sigma);
  CLS_CHECK(c.shape() == sigma.shape() && c.dtype() == Dtype::kF64 && c.device() == sigma.device(),
            ShapeError, "[sigma_apply] c is ", c.shape(), " of ", c.dtype(), "; expected ",
            sigma.shape(), " of f64 where sigma is");
  sigma_apply_kernels().run(sigma.device(), sigma.dtype(), matrices, u, v, sigma, c,
                            grad_through_sigma);
}

void sigma_finish_gradients(std::span<const SigmaMatrix> matrices,
                            const Tensor& u,
                            const Tensor& v,
                            const Tensor& sigma,
                            bool grad_through_sigma) {
  sigma_apply(matrices, u, v, sigma, sigma_products(matrices), grad_through_sigma);
}

}  // namespace clausius::ops
