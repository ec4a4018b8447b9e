// SPDX-License-Identifier: Apache-2.0
// Differentiable layer normalisation.
#pragma once

#include "autograd/variable.h"

namespace clausius {

/// ops::layer_norm over the last dimension; an undefined gain is 1, an undefined bias 0.
/// Memory-bound: cheap to recompute.
[[nodiscard]] Variable layer_norm(const Variable& x,
                                  const Variable& gain,
                                  const Variable& bias,
                                  double eps);

}  // namespace clausius
