// SPDX-License-Identifier: Apache-2.0
// sort_keys by cub's radix sort, which is stable. An emulated device sorts on the host (tests/cuda_emulation/sort.cpp).
#ifndef CLS_CUDA_EMULATION
#include <cub/device/device_radix_sort.cuh>

#include "core/cuda/launch.cuh"
#include "core/cuda/sort.h"

namespace clausius::cuda {
namespace {

__global__ void count_up_kernel(std::int64_t n, std::int32_t* numbers) {
  for (std::int64_t i = global_index(); i < n; i += global_threads()) {
    numbers[i] = static_cast<std::int32_t>(i);
  }
}

}  // namespace

SortedKeys sort_keys(const Tensor& keys_N) {
  const std::int64_t count = keys_N.numel();
  const auto items = narrow<std::int32_t>(count);
  const Device device = keys_N.device();
  SortedKeys sorted{.keys_N = Tensor::empty({count}, Dtype::kI32, device),
                    .positions_N = Tensor::empty({count}, Dtype::kI32, device)};
  Tensor numbers = Tensor::empty({count}, Dtype::kI32, device);
  launch(count_up_kernel, grid_over(count), count, numbers.data<std::int32_t>());
  const auto sort = [&](void* scratch, std::size_t& bytes) {
    CLS_CUDA_CHECK(cub::DeviceRadixSort::SortPairs(
        scratch, bytes, keys_N.data<std::int32_t>(), sorted.keys_N.data<std::int32_t>(),
        std::as_const(numbers).data<std::int32_t>(), sorted.positions_N.data<std::int32_t>(), items,
        0, 32, compute_stream()));
  };
  std::size_t bytes = 0;
  sort(nullptr, bytes);
  const Tensor scratch =
      Tensor::empty({std::max<std::int64_t>(1, narrow<std::int64_t>(bytes))}, Dtype::kU8, device);
  sort(scratch.raw(), bytes);
  return sorted;
}

}  // namespace clausius::cuda
#endif  // CLS_CUDA_EMULATION
