// SPDX-License-Identifier: Apache-2.0
// Gradient rule of dropout.
#include "autograd/rules/dropout.h"

#include "autograd/tape.h"
#include "core/ops/dropout/dropout.h"

namespace clausius {

// y = x mask / (1 - p);  dx = dy mask / (1 - p), the mask drawn again. Saves nothing.
Variable dropout(const Variable& x, double p, const RandomStream& stream, const Tensor& samples_B) {
  if (p == 0) {
    return x;
  }
  return record("dropout", ops::dropout(x.value(), p, stream, samples_B), {x},
                [p, stream, samples_B](const Tensor& dy) -> Gradients {
                  return {ops::dropout_backward(dy, p, stream, samples_B)};
                });
}

}  // namespace clausius
