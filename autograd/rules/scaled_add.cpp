// SPDX-License-Identifier: Apache-2.0
// Gradient rule of scaled_add.
#include "autograd/rules/scaled_add.h"

#include "autograd/tape.h"
#include "core/ops/scaled_add/scaled_add.h"

namespace clausius {

// y = p a + q b;  da = p dy, dp = <dy, a>, db = q dy, dq = <dy, b>. Saves a and b.
Variable scaled_add(const Variable& a,
                    const Variable& a_factor,
                    const Variable& b,
                    const Variable& b_factor) {
  return record(
      "scaled_add", ops::scaled_add(a.value(), a_factor.value(), b.value(), b_factor.value()),
      {a, a_factor, b, b_factor},
      [a = a.value(), p = a_factor.value(), b = b.value(), q = b_factor.value()](Backward& back) {
        ops::ScaledAddGradients gradients = ops::scaled_add_backward(back.dy(), a, p, b, q);
        back.give(0, std::move(gradients.da));
        back.give(1, std::move(gradients.da_factor));
        back.give(2, std::move(gradients.db));
        back.give(3, std::move(gradients.db_factor));
      });
}

}  // namespace clausius
