// SPDX-License-Identifier: Apache-2.0
// The plain matrix that a feed-forward without an activation stands for: what exports ship.
#pragma once

#include "core/tensor.h"

// Legend: M model dim, F hidden dim.
namespace clausius {

struct FoldedLinear {
  Tensor weight_MM;
  Tensor bias_M;  // undefined where nothing had a bias
};

/// x -> (W_out (W_in x + b_in) + b_out) / alpha as one affine map. beta, the residual's factor, is no part of it.
/// Shapes:  w_in [F, M], w_out [M, F], b_in [F] and b_out [M] (either may be undefined) -> [M, M], [M] of w_in's type, on the host
/// Value:   computed in f64 and rounded once.
/// Errors:  ShapeError, DtypeError; ConfigError for an alpha of 0 or not finite.
/// Source:  Jha and Reagen 2025, "Entropy-Guided Attention for Private LLMs" (ScFuFFN).
[[nodiscard]] FoldedLinear fold_feed_forward(const Tensor& w_in_FM,
                                             const Tensor& b_in_F,
                                             const Tensor& w_out_MF,
                                             const Tensor& b_out_M,
                                             double alpha);

/// The same for a single matrix: (W x + b) / alpha.
/// Shapes:  w [M, N], b [M] or undefined -> the same, of w's type, on the host
[[nodiscard]] FoldedLinear fold_branch_scale(const Tensor& w_MN, const Tensor& b_M, double alpha);

}  // namespace clausius
