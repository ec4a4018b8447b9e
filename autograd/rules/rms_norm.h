// SPDX-License-Identifier: Apache-2.0
// Differentiable root-mean-square normalisation.
#pragma once

#include "autograd/variable.h"

namespace clausius {

/// ops::rms_norm over the last dimension; an undefined gain is 1 (simple_rms_norm). Memory-bound:
/// cheap to recompute.
[[nodiscard]] Variable rms_norm(const Variable& x, const Variable& gain, double eps);

}  // namespace clausius
