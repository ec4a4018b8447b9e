// SPDX-License-Identifier: Apache-2.0
// CUDA kernel of entropy_totals: a block for each head.
#include <cmath>

#include "core/cuda/launch.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/entropy_totals/entropy_totals.h"

namespace clausius::ops {
namespace {

constexpr int kThreads = 512;

__global__ void __launch_bounds__(kThreads) entropy_totals_kernel(std::int64_t rows,
                                                                  std::int64_t tokens,
                                                                  const float* entropy_BHT,
                                                                  const std::int32_t* outcomes_BT,
                                                                  const float* max_logit_BH,
                                                                  double* sums_H3,
                                                                  double* max_H) {
  const std::int64_t heads = gridDim.x;
  const std::int64_t head = blockIdx.x;
  double entropy = 0.0;
  double attainable = 0.0;
  double counted = 0.0;
  for (std::int64_t n = threadIdx.x; n < rows; n += kThreads) {
    const std::int32_t outcomes = outcomes_BT[n];
    if (outcomes > 0) {
      const std::int64_t batch = n / tokens;
      entropy +=
          static_cast<double>(entropy_BHT[(batch * heads + head) * tokens + (n - batch * tokens)]);
      attainable += log(static_cast<double>(outcomes));
      counted += 1.0;
    }
  }
  entropy = cuda::block_reduce<cuda::Add>(entropy, 0.0);
  attainable = cuda::block_reduce<cuda::Add>(attainable, 0.0);
  counted = cuda::block_reduce<cuda::Add>(counted, 0.0);
  if (threadIdx.x == 0) {
    sums_H3[3 * head] += entropy;
    sums_H3[3 * head + 1] += attainable;
    sums_H3[3 * head + 2] += counted;
    double highest = max_H[head];
    for (std::int64_t batch = 0; batch < rows / tokens; ++batch) {
      const auto logit = static_cast<double>(max_logit_BH[batch * heads + head]);
      highest = logit > highest ? logit : highest;
    }
    max_H[head] = highest;
  }
}

void entropy_totals_cuda(const Tensor& entropy_BHT,
                         const Tensor& outcomes_BT,
                         const Tensor& max_logit_BH,
                         Tensor& sums_H3,
                         Tensor& max_H) {
  cuda::launch(entropy_totals_kernel,
               cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(entropy_BHT.size(1))),
                                  .block = dim3(kThreads)},
               outcomes_BT.numel(), entropy_BHT.size(2), entropy_BHT.data<float>(),
               outcomes_BT.data<std::int32_t>(), max_logit_BH.data<float>(), sums_H3.data<double>(),
               max_H.data<double>());
}

CLS_KERNEL(entropy_totals, kCuda, kF32, entropy_totals_cuda);

}  // namespace
}  // namespace clausius::ops
