// SPDX-License-Identifier: Apache-2.0
// Spectral norms of a model's matrices, followed from sample to sample.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "autograd/parameter.h"

namespace clausius {

/// Every parameter of the role matrix. The first sample starts from Lanczos vectors; each later one is one step of power iteration, which
/// follows weights that move little: never above the norm, and close below it.
/// Cost: one reading of the matrices a sample.
class SpectralNorms {
 public:
  explicit SpectralNorms(ParameterStore& parameters);

  /// Waits for the device. Not finite where a weight is not.
  [[nodiscard]] std::vector<std::pair<std::string, double>> measure();
  [[nodiscard]] const std::vector<std::string>& paths() const { return paths_; }

  /// The vectors, for checkpoints: a resumed run then measures what one that never stopped does. Undefined before the first sample.
  [[nodiscard]] const Tensor& state() const { return u_; }
  /// Vectors of another layout are ignored: the next sample starts anew.
  void restore(const Tensor& state);

 private:
  void start();

  std::vector<std::string> paths_;
  std::vector<Tensor> weights_;
  std::int64_t rows_ = 0;     // of all matrices
  std::int64_t columns_ = 0;  // of all matrices
  Tensor u_;                  // [columns_]
};

}  // namespace clausius
