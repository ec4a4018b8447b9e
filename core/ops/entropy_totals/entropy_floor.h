// SPDX-License-Identifier: Apache-2.0
// The least entropy that a row of logits can have, given how far the logits are spread.
#pragma once

#include <cmath>
#include <concepts>

namespace clausius::ops {

/// f(s, n) = ln(1 + (n - 1) b) + s sqrt(n (n - 1)) b / (1 + (n - 1) b), b = exp(-s sqrt(n / (n - 1))): a softmax over n logits whose
/// centred vector (logits less their mean) has the norm s has at least this entropy, in nats.
/// Value:   ln n at s = 0, decreasing in s; reached where one logit stands out and the others are equal. 0 for n <= 1. A bound on the
///          norm bounds the entropy just as well: s = |c| ||W_K W_Q^T|| ||X||^2 for the logits c X W_K W_Q^T X^T, in spectral norms.
/// Source:  Zhai et al. 2023, "Stabilizing Transformer Training by Preventing Attention Entropy Collapse", theorem 3.1.
template <std::floating_point T>
constexpr T entropy_floor(T s, T n) {
  if (n <= T(1)) {
    return T(0);
  }
  const T others = n - T(1);
  const T b = std::exp(-s * std::sqrt(n / others));
  const T total = T(1) + others * b;
  // Where b is 0 in the working type, s b is as well, and s may be infinite.
  const T slope = b > T(0) ? s * std::sqrt(n * others) * b / total : b;
  return std::log1p(others * b) + slope;
}

}  // namespace clausius::ops
