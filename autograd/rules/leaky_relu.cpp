// SPDX-License-Identifier: Apache-2.0
// Gradient rule of leaky_relu.
#include "autograd/rules/leaky_relu.h"

#include "autograd/tape.h"
#include "core/ops/leaky_relu/leaky_relu.h"

namespace clausius {

// y = x > 0 ? x : s x;  dx = x > 0 ? dy : s dy;  ds = sum of dy min(x, 0). Saves x.
Variable leaky_relu(const Variable& x, const Variable& slope) {
  return record("leaky_relu", ops::leaky_relu(x.value(), slope.value()), {x, slope},
                [x = x.value(), slope = slope.value()](Backward& b) {
                  ops::LeakyReluGradients gradients =
                      ops::leaky_relu_backward(b.dy(), x, slope, b.needs(1));
                  b.give(0, std::move(gradients.dx));
                  b.give(1, std::move(gradients.dslope));
                });
}

}  // namespace clausius
