// SPDX-License-Identifier: Apache-2.0
// Differentiable sums, means and maxima along axes.
#pragma once

#include "autograd/variable.h"
#include "core/ops/reduce/reduce.h"

namespace clausius {

/// ops::sum, ops::mean and the value of ops::max: f32 results for f32 and bf16. Memory-bound: cheap
/// to recompute.
[[nodiscard]] Variable sum(const Variable& x);
[[nodiscard]] Variable sum(const Variable& x, const ops::Axes& axes, bool keep = false);
[[nodiscard]] Variable mean(const Variable& x);
[[nodiscard]] Variable mean(const Variable& x, const ops::Axes& axes, bool keep = false);
[[nodiscard]] Variable max(const Variable& x, int axis);

}  // namespace clausius
