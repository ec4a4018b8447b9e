// SPDX-License-Identifier: Apache-2.0
// Seeing a tensor's leading axes as the rows of one matrix.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

/// True when all axes but the last form one evenly strided axis, so that no copy is needed to see
/// them as rows.
[[nodiscard]] inline bool rows_merge(const Tensor& tensor) {
  if (tensor.is_contiguous()) {
    return true;
  }
  std::int64_t expected = 0;  // stride of the next axis outwards; 0 before the first
  for (int axis = tensor.rank() - 2; axis >= 0; --axis) {
    if (tensor.size(axis) == 1) {
      continue;
    }
    if (tensor.stride(axis) == 0 || (expected != 0 && tensor.stride(axis) != expected)) {
      return false;
    }
    expected = tensor.stride(axis) * tensor.size(axis);
  }
  return true;
}

/// (.., columns) as [rows, columns]: a view where rows_merge, else a copy.
[[nodiscard]] inline Tensor as_matrix(const Tensor& tensor) {
  if (tensor.rank() == 2) {
    return tensor;
  }
  const std::int64_t columns = tensor.size(-1);
  std::int64_t rows = 1;
  for (int axis = 0; axis < tensor.rank() - 1; ++axis) {
    rows *= tensor.size(axis);
  }
  return (rows_merge(tensor) ? tensor : tensor.contiguous()).reshape({rows, columns});
}

/// True when all matrices of a batch are one in memory.
[[nodiscard]] inline bool is_repeated(const Tensor& tensor) {
  for (int axis = 0; axis < tensor.rank() - 2; ++axis) {
    if (tensor.size(axis) != 1 && tensor.stride(axis) != 0) {
      return false;
    }
  }
  return true;
}

[[nodiscard]] inline Tensor first_matrix(Tensor tensor) {
  while (tensor.rank() > 2) {
    tensor = tensor.select(0, 0);
  }
  return tensor;
}

}  // namespace clausius::ops
