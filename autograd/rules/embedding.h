// SPDX-License-Identifier: Apache-2.0
// Differentiable table lookup.
#pragma once

#include "autograd/variable.h"

namespace clausius {

/// ops::embedding: rows of table_VM picked by tokens (i32). The gradient goes straight into the
/// table's buffer. Memory-bound: cheap to recompute.
[[nodiscard]] Variable embedding(const Tensor& tokens, const Variable& table_VM);

}  // namespace clausius
