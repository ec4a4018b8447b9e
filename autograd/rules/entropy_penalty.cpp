// SPDX-License-Identifier: Apache-2.0
// Gradient rule of entropy_penalty.
#include "autograd/rules/entropy_penalty.h"

#include "autograd/tape.h"

namespace clausius {

// dH = 2 scale d dy beyond the tolerance; dthreshold = -maximum * sum of dH. Saves the inputs.
Variable entropy_penalty(const Variable& entropy_BHT,
                         const Variable& threshold_H,
                         const Tensor& outcomes_BT,
                         const Tensor& positions_BT,
                         const ops::EntropyPenaltyOptions& options) {
  return record("entropy_penalty",
                ops::entropy_penalty(entropy_BHT.value(), threshold_H.value(), outcomes_BT,
                                     positions_BT, options),
                {entropy_BHT, threshold_H},
                [entropy = entropy_BHT.value(), threshold = threshold_H.value(), outcomes_BT,
                 positions_BT, options](const Tensor& dy) -> Gradients {
                  ops::EntropyPenaltyGradients d = ops::entropy_penalty_backward(
                      dy, entropy, threshold, outcomes_BT, positions_BT, options);
                  return {d.dentropy_BHT, d.dthreshold_H};
                });
}

}  // namespace clausius
