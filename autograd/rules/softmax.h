// SPDX-License-Identifier: Apache-2.0
// Differentiable softmax.
#pragma once

#include "autograd/variable.h"

namespace clausius {

/// ops::softmax along `axis`. Memory-bound: cheap to recompute.
[[nodiscard]] Variable softmax(const Variable& x, int axis = -1);

}  // namespace clausius
