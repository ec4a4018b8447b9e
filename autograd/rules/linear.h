// SPDX-License-Identifier: Apache-2.0
// Differentiable y = x W^T + b.
#pragma once

#include "autograd/variable.h"

namespace clausius {

/// x (.., M), weight [N, M], bias [N] or undefined -> (.., N). Gradients of weight and bias go straight into their
/// buffers. See ops::linear. Compute-bound.
[[nodiscard]] Variable linear(const Variable& x,
                              const Variable& weight_NM,
                              const Variable& bias_N = {});

}  // namespace clausius
