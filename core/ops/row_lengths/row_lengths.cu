// SPDX-License-Identifier: Apache-2.0
// CUDA kernel of row_lengths: a warp for each row.
#include "core/cuda/launch.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/row_lengths/row_lengths.h"
#include "core/targets.h"

namespace clausius::ops {
namespace {

__global__ void row_lengths_kernel(std::int64_t tokens,
                                   const std::int32_t* targets_BT,
                                   std::int32_t* lengths_B) {
  const std::int32_t* targets = targets_BT + static_cast<std::int64_t>(blockIdx.x) * tokens;
  std::int64_t length = 0;
  for (std::int64_t t = threadIdx.x; t < tokens; t += cuda::kWarp) {
    length = targets[t] == kIgnoredTarget ? length : t + 1;
  }
  length = cuda::warp_reduce<cuda::Max>(length);
  if (threadIdx.x == 0) {
    lengths_B[blockIdx.x] =
        static_cast<std::int32_t>(length == 0 || length == tokens ? length : length + 1);
  }
}

void row_lengths_cuda(const Tensor& targets_BT, Tensor& lengths_B) {
  cuda::launch(row_lengths_kernel,
               cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(targets_BT.size(0))),
                                  .block = dim3(cuda::kWarp)},
               targets_BT.size(1), targets_BT.data<std::int32_t>(), lengths_B.data<std::int32_t>());
}

CLS_KERNEL(row_lengths, kCuda, kI32, row_lengths_cuda);

}  // namespace
}  // namespace clausius::ops
