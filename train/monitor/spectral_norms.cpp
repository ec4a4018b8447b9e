// SPDX-License-Identifier: Apache-2.0
// One power iteration on every matrix.
#include "train/monitor/spectral_norms.h"

#include <cmath>

#include "core/linear_algebra/leading_singular.h"
#include "core/ops/spectral_refresh/spectral_refresh.h"

namespace clausius {

SpectralNorms::SpectralNorms(ParameterStore& parameters) {
  for (Parameter& parameter : parameters.parameters()) {
    if (parameter.role() == Role::kMatrix && parameter.shape().rank() == 2) {
      paths_.push_back(parameter.path());
      weights_.push_back(parameter.master());
      rows_ += parameter.shape()[0];
      columns_ += parameter.shape()[1];
    }
  }
}

void SpectralNorms::start() {
  u_ = Tensor::empty({columns_}, weights_.front().dtype(), weights_.front().device());
  std::int64_t placed = 0;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const std::int64_t columns = weights_[i].size(1);
    const RandomStream stream{.seed = 0, .stream = stream_of(paths_[i])};
    const Tensor weight = weights_[i].to(kCpu);
    // A weight of zeros has no leading vector, and one that is not finite none either: any unit vector does.
    bool usable = true;
    double squares = 0;
    const Tensor wide = weight.to(Dtype::kF64);
    for (const double value : wide.span<double>()) {
      squares += value * value;
    }
    usable = std::isfinite(squares) && squares > 0;
    const Tensor u = usable ? leading_singular_lanczos(weight, stream, paths_[i]).u_N
                            : random_unit(columns, stream);
    u_.slice(0, placed, placed + columns).copy_from(u.to(u_.dtype()));
    placed += columns;
  }
}

std::vector<std::pair<std::string, double>> SpectralNorms::measure() {
  std::vector<std::pair<std::string, double>> norms;
  if (weights_.empty()) {
    return norms;
  }
  if (!u_.defined()) {
    start();
  }
  Tensor v = Tensor::empty({rows_}, u_.dtype(), u_.device());
  Tensor sigma = Tensor::empty({std::ssize(weights_)}, u_.dtype(), u_.device());
  ops::spectral_refresh(weights_, u_, v, sigma);
  const Tensor host = sigma.to(kCpu).to(Dtype::kF64);
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    norms.emplace_back(paths_[i], host.data<double>()[i]);
  }
  return norms;
}

void SpectralNorms::restore(const Tensor& state) {
  if (!weights_.empty() && state.defined() && state.shape() == Shape{columns_}) {
    u_ = state.to(weights_.front().dtype()).to(weights_.front().device()).clone();
  }
}

}  // namespace clausius
