// SPDX-License-Identifier: Apache-2.0
// The plain weight that a sigma-reparametrised one stands for: what exports ship.
#pragma once

#include <string_view>

#include "core/tensor.h"

namespace clausius {

/// Where the spectral norm comes from.
enum class SigmaFold {
  kExact,    // Lanczos: |W_hat| = |gamma|
  kRunning,  // the stored u with one more iteration: what evaluation uses
};

/// W_hat = gamma / sigma(W) W.
/// Shapes:  weight [M, N], gamma of one element, u [N] (unread when exact) -> [M, N] of the weight's type, on the host
/// Value:   computed in f64 and rounded once.
/// Errors:  ConfigError or GuardError naming `name` where the weight has no norm; GuardError where u lies in its null space.
/// Cost:    running: two readings of the weight. Exact: about a hundred.
/// Source:  Zhai et al. 2023, "Stabilizing Transformer Training by Preventing Attention Entropy Collapse".
[[nodiscard]] Tensor fold_sigma(const Tensor& weight_MN,
                                const Tensor& gamma,
                                const Tensor& u_N,
                                SigmaFold fold,
                                std::string_view name);

}  // namespace clausius
