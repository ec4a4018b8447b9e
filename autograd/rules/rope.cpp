// SPDX-License-Identifier: Apache-2.0
// Gradient rule of rope.
#include "autograd/rules/rope.h"

#include "autograd/tape.h"

namespace clausius {

// y = R x;  dx = R^-1 dy. Saves nothing but the constants.
Variable rope(const Variable& x_BTHD, const Tensor& positions_BT, const ops::RopeTable& table) {
  return record("rope", ops::rope(x_BTHD.value(), positions_BT, table), {x_BTHD},
                [positions_BT, table](Backward& b) {
                  Destination dx = b.destination(0);
                  if (dx.accumulate || !dx.tensor.last_is_dense()) {
                    b.give(0, ops::rope_backward(b.dy(), positions_BT, table));
                  } else {
                    ops::rope_backward_into(b.dy(), positions_BT, table, dx.tensor);
                  }
                });
}

}  // namespace clausius
