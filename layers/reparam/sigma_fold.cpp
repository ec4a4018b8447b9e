// SPDX-License-Identifier: Apache-2.0
// The plain weight that a sigma-reparametrised one stands for.
#include "layers/reparam/sigma_fold.h"

#include <cmath>
#include <string>
#include <vector>

#include "core/linear_algebra/leading_singular.h"
#include "core/ops/spectral_refresh/spectral_refresh.h"

namespace clausius {
namespace {

// In f64, so that what is divided by is not rounded before the weight is.
double running_norm(const Tensor& weight_MN, const Tensor& u_N, std::string_view name) {
  const std::vector<Tensor> weights = {weight_MN.to(Dtype::kF64)};
  const std::vector<std::string> names = {std::string(name)};
  Tensor v = Tensor::empty({weight_MN.size(0)}, Dtype::kF64);
  Tensor sigma = Tensor::empty({1}, Dtype::kF64);
  Tensor u = u_N.to(kCpu).to(Dtype::kF64).clone();
  ops::spectral_refresh(weights, u, v, sigma);
  ops::check_sigmas(sigma, names);
  return sigma.data<double>()[0];
}

}  // namespace

Tensor fold_sigma(const Tensor& weight_MN,
                  const Tensor& gamma,
                  const Tensor& u_N,
                  SigmaFold fold,
                  std::string_view name) {
  CLS_CHECK(gamma.defined() && gamma.numel() == 1, ShapeError, name, ": gamma is ", gamma.shape(),
            "; expected one element");
  const Tensor weight = weight_MN.to(kCpu).contiguous();
  const RandomStream stream{.stream = stream_of(name)};
  const double sigma = fold == SigmaFold::kExact
                           ? leading_singular_lanczos(weight, stream, name).sigma
                           : running_norm(weight, u_N, name);
  const double alpha = gamma.to(kCpu).to(Dtype::kF64).item() / sigma;
  Tensor folded = weight.to(Dtype::kF64).clone();
  for (double& value : folded.span<double>()) {
    value *= alpha;
  }
  return folded.to(weight.dtype());
}

}  // namespace clausius
