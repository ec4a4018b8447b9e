// SPDX-License-Identifier: Apache-2.0
// How matrix products see a matrix in memory.
#pragma once

#include <compare>
#include <cstdint>

#include "core/tensor.h"

namespace clausius::ops::detail {

/// A matrix whose rows (or, transposed, columns) are dense; `step` elements apart.
struct MatrixLayout {
  std::int64_t step = 0;
  bool transposed = false;
  auto operator<=>(const MatrixLayout&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// The layout of the last two axes used in place, or step 0 where neither rows nor columns are dense and apart.
[[nodiscard]] inline MatrixLayout layout_of(const Tensor& matrix) {
  const std::int64_t rows = matrix.size(-2);
  const std::int64_t columns = matrix.size(-1);
  if (columns == 1 || matrix.stride(-1) == 1) {
    const std::int64_t step = rows == 1 ? columns : matrix.stride(-2);
    if (step >= columns) {
      return {step, false};
    }
  }
  if (rows == 1 || matrix.stride(-2) == 1) {
    const std::int64_t step = columns == 1 ? rows : matrix.stride(-1);
    if (step >= rows) {
      return {step, true};
    }
  }
  return {};
}

}  // namespace clausius::ops::detail
