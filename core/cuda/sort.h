// SPDX-License-Identifier: Apache-2.0
// Sorting on the CUDA device.
#pragma once

#include "core/tensor.h"

namespace clausius::cuda {

struct SortedKeys {
  Tensor keys_N;       // i32, rising
  Tensor positions_N;  // i32: where each stood
};

/// Keys in rising order; equal ones keep theirs.
/// Shapes:  keys [N] i32, dense, 0 < N < 2^31.
/// Cost:    memory-bound, four passes; cub's scratch.
[[nodiscard]] SortedKeys sort_keys(const Tensor& keys_N);

}  // namespace clausius::cuda
