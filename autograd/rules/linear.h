// SPDX-License-Identifier: Apache-2.0
// Differentiable y = x W^T + b.
#pragma once

#include "autograd/rules/row_scales.h"
#include "autograd/variable.h"

namespace clausius {

/// x (.., M), weight [N, M], bias [N] or undefined -> (.., N). Gradients of weight and bias go straight into their
/// buffers. See ops::linear. Compute-bound.
/// With `scales` y = x W_hat^T + b, W_hat = alpha W for each run of rows: alpha multiplies the product's sums, W_hat is never made. What
/// reaches the weight's buffer is then dL/dW_hat: where alpha depends on W, that part is settled once a step, after every use,
/// micro-batch and rank has added to it (ops::sigma_finish_gradients).
[[nodiscard]] Variable linear(const Variable& x,
                              const Variable& weight_NM,
                              const Variable& bias_N = {},
                              const RowScales& scales = {});

}  // namespace clausius
