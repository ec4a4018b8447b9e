// SPDX-License-Identifier: Apache-2.0
// The differentiable residual sum with learned factors.
#pragma once

#include "autograd/variable.h"

namespace clausius {

/// ops::scaled_add: a_factor a + b_factor b, the factors of one element each. Memory-bound: cheap to recompute.
[[nodiscard]] Variable scaled_add(const Variable& a,
                                  const Variable& a_factor,
                                  const Variable& b,
                                  const Variable& b_factor);

}  // namespace clausius
