// SPDX-License-Identifier: Apache-2.0
// Differentiable arithmetic on two values with broadcasting, and on a value and a number.
#pragma once

#include "autograd/variable.h"

namespace clausius {

/// ops::add, sub, mul, div. Memory-bound: cheap to recompute.
[[nodiscard]] Variable add(const Variable& a, const Variable& b);
[[nodiscard]] Variable sub(const Variable& a, const Variable& b);
[[nodiscard]] Variable mul(const Variable& a, const Variable& b);
[[nodiscard]] Variable div(const Variable& a, const Variable& b);
/// y = factor x.
[[nodiscard]] Variable scale(const Variable& x, double factor);

}  // namespace clausius
