// SPDX-License-Identifier: Apache-2.0
// Differentiable matrix product.
#pragma once

#include "autograd/variable.h"

namespace clausius {

/// alpha a b: a (.., M, K), b (.., K, N) -> (.., M, N); leading sizes equal, 1 or absent.
/// See ops::matmul. Compute-bound.
[[nodiscard]] Variable matmul(const Variable& a, const Variable& b, double alpha = 1.0);

}  // namespace clausius
