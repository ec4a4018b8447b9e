// SPDX-License-Identifier: Apache-2.0
// Gradient rule of the gated units.
#include "autograd/rules/gated.h"

#include "autograd/tape.h"

namespace clausius {

// Saves x.
Variable gated(const Variable& x, Gate gate) {
  return record("gated", ops::gated(x.value(), gate), {x},
                [x = x.value(), gate](const Tensor& dy) -> Gradients {
                  return {ops::gated_backward(dy, x, gate)};
                });
}

}  // namespace clausius
