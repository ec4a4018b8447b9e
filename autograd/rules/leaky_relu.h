// SPDX-License-Identifier: Apache-2.0
// The differentiable leaky rectifier.
#pragma once

#include "autograd/variable.h"

namespace clausius {

/// ops::leaky_relu; slope of one element, a constant or learned. Memory-bound: cheap to recompute.
[[nodiscard]] Variable leaky_relu(const Variable& x, const Variable& slope);

}  // namespace clausius
