// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of spectral_refresh; what the host makes of the norms.
#include "core/ops/spectral_refresh/spectral_refresh.h"

#include <cmath>

#include "core/ops/spectral_refresh/spectral_refresh_reference.h"

namespace clausius::ops {

void detail::check_spectral_state(
    std::string_view op, Matrices weights, const Tensor& u, const Tensor& v, const Tensor& sigma) {
  const Dtype dtype = sigma.dtype();
  CLS_CHECK(dtype == Dtype::kF32 || dtype == Dtype::kF64, DtypeError, "[", op, "] sigma is ", dtype,
            "; expected f32 (the master's type)");
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  for (std::size_t e = 0; e < weights.size(); ++e) {
    const Tensor& weight = weights[e];
    CLS_CHECK(weight.rank() == 2 && weight.numel() > 0 && weight.last_is_dense(), ShapeError, "[",
              op, "] matrix ", e, " is ", weight.shape(), " with strides ", weight.strides(),
              "; expected [M, N] with elements and dense rows");
    CLS_CHECK(weight.dtype() == dtype && weight.device() == sigma.device(), DtypeError, "[", op,
              "] matrix ", e, " is ", weight.dtype(), "; expected ", dtype, " where sigma is");
    rows += weight.size(0);
    columns += weight.size(1);
  }
  const auto count = static_cast<std::int64_t>(weights.size());
  const auto check = [&](const Tensor& x, const char* name, std::int64_t size) {
    CLS_CHECK(x.shape() == Shape{size} && x.is_contiguous(), ShapeError, "[", op, "] ", name,
              " is ", x.shape(), "; expected (", size, ") dense, for ", count, " matrices");
    CLS_CHECK(x.dtype() == dtype && x.device() == sigma.device(), DtypeError, "[", op, "] ", name,
              " is ", x.dtype(), "; expected ", dtype, " where sigma is");
  };
  check(u, "u", columns);
  check(v, "v", rows);
  check(sigma, "sigma", count);
}

SpectralRefreshKernels& spectral_refresh_kernels() {
  static SpectralRefreshKernels table("spectral_refresh", spectral_refresh_reference<double>,
                                      spectral_refresh_reference<float>);
  return table;
}

void spectral_refresh(Matrices weights, Tensor& u, Tensor& v, Tensor& sigma, int power_iterations) {
  CLS_CHECK(power_iterations >= 1, ConfigError, "[spectral_refresh] power_iterations is ",
            power_iterations, "; expected 1 or more");
  detail::check_spectral_state("spectral_refresh", weights, u, v, sigma);
  if (!weights.empty()) {
    spectral_refresh_kernels().run(sigma.device(), sigma.dtype(), weights, u, v, sigma,
                                   power_iterations);
  }
}

void spectral_evaluate(Matrices weights, const Tensor& u, Tensor& v, Tensor& sigma) {
  detail::check_spectral_state("spectral_evaluate", weights, u, v, sigma);
  if (!weights.empty()) {
    Tensor same = u;  // not written with 0 iterations
    spectral_refresh_kernels().run(sigma.device(), sigma.dtype(), weights, same, v, sigma, 0);
  }
}

void check_sigmas(const Tensor& sigma, std::span<const std::string> names) {
  CLS_CHECK(sigma.shape() == Shape{static_cast<std::int64_t>(names.size())}, ShapeError,
            "[check_sigmas] sigma is ", sigma.shape(), " for ", names.size(), " names");
  const Tensor host = sigma.to(kCpu).to(Dtype::kF64);
  for (std::size_t e = 0; e < names.size(); ++e) {
    const double value = host.span<double>()[e];
    CLS_CHECK(
        std::isfinite(value), GuardError, names[e],
        ": the spectral norm is not finite, so the weight (or its u) holds NaN, infinities or "
        "values near the largest float");
    CLS_CHECK(value > 0, GuardError, names[e],
              ": the spectral norm is 0: the weight is zero, or its u lies in the null space. To "
              "start a branch at zero use gamma = 0");
  }
}

}  // namespace clausius::ops
