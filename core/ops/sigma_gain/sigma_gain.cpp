// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of sigma_alphas and sigma_gain_gradients.
#include "core/ops/sigma_gain/sigma_gain.h"

#include "core/ops/sigma_gain/sigma_gain_reference.h"

namespace clausius::ops {
namespace {

void check_scalars(std::string_view op, std::span<const Tensor> scalars, const Tensor& sigma_E) {
  const Shape shape = {std::ssize(scalars)};
  CLS_CHECK(sigma_E.shape() == shape && sigma_E.is_contiguous(), ShapeError, "[", op, "] sigma is ",
            sigma_E.shape(), "; expected ", shape, " dense");
  CLS_CHECK(sigma_E.dtype() == Dtype::kF32 || sigma_E.dtype() == Dtype::kF64, DtypeError, "[", op,
            "] sigma is ", sigma_E.dtype(), "; expected f32 (the master's type)");
  for (std::size_t e = 0; e < scalars.size(); ++e) {
    const Tensor& x = scalars[e];
    CLS_CHECK(!x || x.numel() == 1, ShapeError, "[", op, "] gain ", e, " is ", x.shape(),
              "; expected one element");
    CLS_CHECK(!x || (x.dtype() == sigma_E.dtype() && x.device() == sigma_E.device()), DtypeError,
              "[", op, "] gain ", e, " is ", x.dtype(), "; expected ", sigma_E.dtype(),
              " where sigma is");
  }
}

}  // namespace

SigmaAlphasKernels& sigma_alphas_kernels() {
  static SigmaAlphasKernels table("sigma_alphas", sigma_alphas_reference<double>,
                                  sigma_alphas_reference<float>);
  return table;
}

SigmaGainGradientsKernels& sigma_gain_gradients_kernels() {
  static SigmaGainGradientsKernels table("sigma_gain_gradients",
                                         sigma_gain_gradients_reference<double>,
                                         sigma_gain_gradients_reference<float>);
  return table;
}

void sigma_alphas(std::span<const Tensor> gammas,
                  const Tensor& sigma_E,
                  Tensor& gamma_E,
                  Tensor& alpha_E) {
  check_scalars("sigma_alphas", gammas, sigma_E);
  for (const Tensor* x : {&gamma_E, &alpha_E}) {
    CLS_CHECK(x->shape() == sigma_E.shape() && x->is_contiguous() &&
                  x->dtype() == sigma_E.dtype() && x->device() == sigma_E.device(),
              ShapeError, "[sigma_alphas] an output is ", x->shape(), " of ", x->dtype(),
              "; expected one like sigma");
  }
  if (!gammas.empty()) {
    sigma_alphas_kernels().run(sigma_E.device(), sigma_E.dtype(), gammas, sigma_E, gamma_E,
                               alpha_E);
  }
}

void sigma_gain_gradients(std::span<const Tensor> dgammas,
                          const Tensor& sigma_E,
                          const Tensor& c_ES) {
  check_scalars("sigma_gain_gradients", dgammas, sigma_E);
  CLS_CHECK(c_ES.rank() == 2 && c_ES.size(0) == std::ssize(dgammas) && c_ES.is_contiguous() &&
                c_ES.dtype() == Dtype::kF64 && c_ES.device() == sigma_E.device(),
            ShapeError, "[sigma_gain_gradients] c is ", c_ES.shape(), " of ", c_ES.dtype(),
            "; expected (", dgammas.size(), ", S) of f64 where sigma is");
  if (!dgammas.empty()) {
    sigma_gain_gradients_kernels().run(sigma_E.device(), sigma_E.dtype(), dgammas, sigma_E, c_ES);
  }
}

CLS_KERNEL(sigma_alphas, kCpu, kF32, sigma_alphas_reference<float>);
CLS_KERNEL(sigma_gain_gradients, kCpu, kF32, sigma_gain_gradients_reference<float>);

}  // namespace clausius::ops
