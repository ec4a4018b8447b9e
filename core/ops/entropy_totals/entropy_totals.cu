// SPDX-License-Identifier: Apache-2.0
// CUDA kernel of entropy_totals: a block for each head.
#include <cmath>

#include "core/cuda/launch.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/entropy_totals/entropy_totals_reference.h"

namespace clausius::ops {
namespace {

constexpr int kThreads = 512;

__global__ void __launch_bounds__(kThreads) entropy_totals_kernel(std::int64_t rows,
                                                                  std::int64_t tokens,
                                                                  const float* entropy_BHT,
                                                                  const std::int32_t* outcomes_BT,
                                                                  const float* max_logit_BH,
                                                                  const std::int32_t* lengths_B,
                                                                  const float* spread_BHT,
                                                                  const float* first_BHT,
                                                                  double* sums_HK,
                                                                  double* max_H) {
  const std::int64_t heads = gridDim.x;
  const std::int64_t head = blockIdx.x;
  double sums[kHeadSums] = {};
  const auto add = [&](HeadSum which, double value) { sums[static_cast<int>(which)] += value; };
  for (std::int64_t n = threadIdx.x; n < rows; n += kThreads) {
    const std::int32_t outcomes = outcomes_BT[n];
    const std::int64_t batch = n / tokens;
    if (outcomes > 0 && (lengths_B == nullptr || n - batch * tokens < lengths_B[batch])) {
      const std::int64_t at = (batch * heads + head) * tokens + (n - batch * tokens);
      RowOfHead<float>(entropy_BHT[at], outcomes, log(static_cast<double>(outcomes)))
          .add(spread_BHT != nullptr ? spread_BHT + at : nullptr,
               first_BHT != nullptr ? first_BHT + at : nullptr, add);
    }
  }
  for (int k = 0; k < kHeadSums; ++k) {
    const double sum = cuda::block_reduce<cuda::Add>(sums[k], 0.0);
    if (threadIdx.x == 0) {
      sums_HK[kHeadSums * head + k] += sum;
    }
  }
  if (threadIdx.x == 0) {
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
                         const Tensor& lengths_B,
                         const Tensor& spread_BHT,
                         const Tensor& first_BHT,
                         Tensor& sums_HK,
                         Tensor& max_H) {
  const auto optional = [](const Tensor& tensor) {
    return tensor.defined() ? tensor.data<float>() : nullptr;
  };
  cuda::launch(entropy_totals_kernel,
               cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(entropy_BHT.size(1))),
                                  .block = dim3(kThreads)},
               outcomes_BT.numel(), entropy_BHT.size(2), entropy_BHT.data<float>(),
               outcomes_BT.data<std::int32_t>(), max_logit_BH.data<float>(),
               lengths_B.defined() ? lengths_B.data<std::int32_t>() : nullptr, optional(spread_BHT),
               optional(first_BHT), sums_HK.data<double>(), max_H.data<double>());
}

CLS_KERNEL(entropy_totals, kCuda, kF32, entropy_totals_cuda);

}  // namespace
}  // namespace clausius::ops
