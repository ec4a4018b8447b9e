// SPDX-License-Identifier: Apache-2.0
// The largest singular value of a matrix and its vectors, to f64 accuracy: where a power iteration starts, and exact norms.
#pragma once

#include <string_view>

#include "core/random.h"
#include "core/tensor.h"

namespace clausius {

struct LeadingSingular {
  double sigma = 0;
  Tensor u_N;  // right vector, f64, unit norm
  Tensor v_M;  // left vector, f64, unit norm
  double residual =
      0;  // |W^T v - sigma u| / sigma; the relative error of sigma is of its square over the gap
  int steps = 0;
};

struct LanczosOptions {
  int most_steps = 300;
  double tolerance = 1e-6;  // of the residual
};

/// sigma = max |W x| over unit x, by Golub-Kahan-Lanczos with full reorthogonalisation from a random start.
/// Shapes:  weight [M, N] f32 or f64, any strides; on a device it is copied to the host first
/// Value:   the same bits for equal (weight, stream), whatever the number of threads. Stops when the residual is small (50 steps on a
///          Gaussian matrix of 3072 x 768), when the space is exhausted (exact), or after most_steps.
/// Errors:  ConfigError naming `name` when the weight is all zeros; GuardError when it is not finite.
/// Cost:    4 M N FLOPs a step, two readings of the weight.
/// Source:  Golub and Kahan 1965, "Calculating the Singular Values and Pseudo-Inverse of a Matrix".
[[nodiscard]] LeadingSingular leading_singular_lanczos(const Tensor& weight_MN,
                                                       const RandomStream& stream,
                                                       std::string_view name,
                                                       const LanczosOptions& options = {});

/// The same from a full decomposition. For tests and small matrices: O(M N min(M, N)).
[[nodiscard]] LeadingSingular leading_singular_svd(const Tensor& weight_MN, std::string_view name);

/// A unit vector of the stream's normal numbers, f64.
[[nodiscard]] Tensor random_unit(std::int64_t size, const RandomStream& stream);

}  // namespace clausius
