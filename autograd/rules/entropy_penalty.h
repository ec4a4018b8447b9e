// SPDX-License-Identifier: Apache-2.0
// The differentiable entropy penalty.
#pragma once

#include "autograd/variable.h"
#include "core/ops/entropy_penalty/entropy_penalty.h"

namespace clausius {

/// See ops::entropy_penalty. Gradients reach entropies and thresholds. Memory-bound.
[[nodiscard]] Variable entropy_penalty(const Variable& entropy_BHT,
                                       const Variable& threshold_H,
                                       const Tensor& outcomes_BT,
                                       const Tensor& positions_BT,
                                       const ops::EntropyPenaltyOptions& options);

}  // namespace clausius
