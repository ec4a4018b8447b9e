// SPDX-License-Identifier: Apache-2.0
// Gradient rule of softmax.
#include "autograd/rules/softmax.h"

#include "autograd/tape.h"
#include "core/ops/softmax/softmax.h"

namespace clausius {

// y = softmax(x);  dx = y (dy - sum(dy y)) along `axis`. Saves y only.
Variable softmax(const Variable& x, int axis) {
  Tensor y = ops::softmax(x.value(), axis);
  return record("softmax", y, {x}, [y, axis](const Tensor& dy) -> Gradients {
    return {ops::softmax_backward(dy, y, axis)};
  });
}

}  // namespace clausius
