// SPDX-License-Identifier: Apache-2.0
// Stands in for cub's sort where the device is emulated.
#include "core/cuda/sort.h"

#include <algorithm>
#include <numeric>

namespace clausius::cuda {

SortedKeys sort_keys(const Tensor& keys_N) {
  const std::int32_t* keys = keys_N.data<std::int32_t>();
  SortedKeys sorted{.keys_N = Tensor::empty(keys_N.shape(), Dtype::kI32, keys_N.device()),
                    .positions_N = Tensor::empty(keys_N.shape(), Dtype::kI32, keys_N.device())};
  const std::span<std::int32_t> positions = sorted.positions_N.span<std::int32_t>();
  std::iota(positions.begin(), positions.end(), 0);
  std::stable_sort(positions.begin(), positions.end(),
                   [=](std::int32_t a, std::int32_t b) { return keys[a] < keys[b]; });
  std::transform(positions.begin(), positions.end(), sorted.keys_N.data<std::int32_t>(),
                 [=](std::int32_t position) { return keys[position]; });
  return sorted;
}

}  // namespace clausius::cuda
