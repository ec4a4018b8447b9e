// SPDX-License-Identifier: Apache-2.0
// Differentiable rotary position embedding.
#pragma once

#include "autograd/variable.h"
#include "core/ops/rope/rope.h"

namespace clausius {

/// ops::rope; positions_BT (i32) and the table are constants. x may be a strided view, and its
/// gradient is written in place. Memory-bound: cheap to recompute.
[[nodiscard]] Variable rope(const Variable& x_BTHD,
                            const Tensor& positions_BT,
                            const ops::RopeTable& table);

}  // namespace clausius
