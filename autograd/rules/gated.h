// SPDX-License-Identifier: Apache-2.0
// Differentiable gated units: SwiGLU and its relatives.
#pragma once

#include "autograd/variable.h"
#include "core/ops/gated/gated.h"

namespace clausius {

using ops::Gate;

/// activation(x[.., :F]) x[.., F:], see ops::gated. Memory-bound: cheap to recompute.
[[nodiscard]] Variable gated(const Variable& x, Gate gate);
[[nodiscard]] inline Variable swiglu(const Variable& x) {
  return gated(x, Gate::kSilu);
}

}  // namespace clausius
