// SPDX-License-Identifier: Apache-2.0
// Differentiable dropout.
#pragma once

#include "autograd/variable.h"
#include "core/random.h"

namespace clausius {

/// ops::dropout: the mask follows from the stream and the global sample ids (i64, one a row of x).
/// p = 0 is x itself. Memory-bound: cheap to recompute, with the same mask.
[[nodiscard]] Variable dropout(const Variable& x,
                               double p,
                               const RandomStream& stream,
                               const Tensor& samples_B);

}  // namespace clausius
