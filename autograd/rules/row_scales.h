// SPDX-License-Identifier: Apache-2.0
// Factors of the rows of a weight, which products apply to their sums.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace clausius {

/// Neighbouring rows that stand for W_hat = alpha W.
struct ScaledRows {
  std::int64_t rows = 0;
  /// One element where the weight is (f32; f64 with f64), read when the product runs; undefined: 1.
  Tensor alpha{};
};

/// All rows of a weight in order; empty: none is scaled.
using RowScales = std::vector<ScaledRows>;

}  // namespace clausius
