// SPDX-License-Identifier: Apache-2.0
// y = alpha x W^T + b where alpha = gamma / sigma(W) is known before the step.
#pragma once

#include "autograd/variable.h"

namespace clausius {

/// x (.., M), weight [N, M], bias [N] or undefined -> (.., N). alpha multiplies the product's sums; W_hat = alpha W is never made.
/// What reaches the weight's buffer is G = dL/dW_hat, not dL/dW: alpha depends on all of W, so that part is settled once a step,
/// after every use, micro-batch and rank has added to G, by ops::sigma_finish_gradients, which gives dL/dgamma too. Compute-bound.
[[nodiscard]] Variable sigma_linear(const Variable& x,
                                    const Variable& weight_NM,
                                    const Variable& bias_N,
                                    double alpha);

}  // namespace clausius
