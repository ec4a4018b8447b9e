// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of entropy_penalty: a block for each head, sums in f64.
#include <cmath>

#include "core/cuda/launch.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/entropy_penalty/entropy_penalty.h"

namespace clausius::ops {
namespace {

constexpr int kThreads = 256;

// What both directions read; one head a block.
struct Rows {
  std::int64_t batch;
  std::int64_t tokens;
  const float* entropy_BHT;
  const float* threshold_H;
  const std::int32_t* outcomes_BT;
  const std::int32_t* positions_BT;
  EntropyPenaltyOptions options;

  __device__ std::int64_t at(std::int64_t b, std::int64_t t) const {
    return (b * gridDim.x + blockIdx.x) * tokens + t;
  }
  __device__ bool counts(std::int64_t b, std::int64_t t) const {
    const std::int64_t row = b * tokens + t;
    return outcomes_BT[row] > 0 &&
           (options.skip_rows == 0 || positions_BT[row] >= options.skip_rows);
  }
  // 0 within the tolerance; a NaN comes through.
  __device__ double deviation(double entropy) const {
    const double d = entropy - static_cast<double>(threshold_H[blockIdx.x]) * options.maximum;
    return fabs(d) <= options.tolerance * options.maximum ? 0.0 : d;
  }
  __device__ double row_deviation(std::int64_t b, std::int64_t t) const {
    return counts(b, t) ? deviation(static_cast<double>(entropy_BHT[at(b, t)])) : 0.0;
  }
  // Of the mean of one sample: the same in every thread. `counted`: its rows.
  __device__ double mean_deviation(std::int64_t b, double& counted) const {
    double sum = 0.0;
    counted = 0.0;
    for (std::int64_t t = threadIdx.x; t < tokens; t += kThreads) {
      if (counts(b, t)) {
        sum += static_cast<double>(entropy_BHT[at(b, t)]);
        counted += 1.0;
      }
    }
    sum = cuda::block_reduce<cuda::Add>(sum, 0.0);
    counted = cuda::block_reduce<cuda::Add>(counted, 0.0);
    return counted > 0.0 ? deviation(sum / counted) : 0.0;
  }
};

__global__ void __launch_bounds__(kThreads) entropy_penalty_kernel(Rows rows, double* head_sums_H) {
  double sum = 0.0;
  if (rows.options.of_means) {
    for (std::int64_t b = 0; b < rows.batch; ++b) {
      double counted = 0.0;
      const double d = rows.mean_deviation(b, counted);
      sum += d * d;
    }
  } else {
    for (std::int64_t n = threadIdx.x; n < rows.batch * rows.tokens; n += kThreads) {
      const double d = rows.row_deviation(n / rows.tokens, n % rows.tokens);
      sum += d * d;
    }
    sum = cuda::block_reduce<cuda::Add>(sum, 0.0);
  }
  if (threadIdx.x == 0) {
    head_sums_H[blockIdx.x] = sum;
  }
}

// One block adds up the heads.
__global__ void __launch_bounds__(kThreads) entropy_penalty_total_kernel(std::int64_t heads,
                                                                         double scale,
                                                                         const double* head_sums_H,
                                                                         float* penalty) {
  double sum = 0.0;
  for (std::int64_t h = threadIdx.x; h < heads; h += kThreads) {
    sum += head_sums_H[h];
  }
  sum = cuda::block_reduce<cuda::Add>(sum, 0.0);
  if (threadIdx.x == 0) {
    *penalty = static_cast<float>(scale * sum);
  }
}

__global__ void __launch_bounds__(kThreads) entropy_penalty_backward_kernel(Rows rows,
                                                                            const float* dy,
                                                                            float* dentropy_BHT,
                                                                            float* dthreshold_H) {
  const double factor = 2.0 * rows.options.scale * static_cast<double>(*dy);
  double sum = 0.0;
  if (rows.options.of_means) {
    for (std::int64_t b = 0; b < rows.batch; ++b) {
      double counted = 0.0;
      const double d = rows.mean_deviation(b, counted);
      sum += factor * d;
      for (std::int64_t t = threadIdx.x; t < rows.tokens; t += kThreads) {
        dentropy_BHT[rows.at(b, t)] =
            rows.counts(b, t) ? static_cast<float>(factor * d / counted) : 0.0F;
      }
    }
  } else {
    for (std::int64_t n = threadIdx.x; n < rows.batch * rows.tokens; n += kThreads) {
      const double d = factor * rows.row_deviation(n / rows.tokens, n % rows.tokens);
      dentropy_BHT[rows.at(n / rows.tokens, n % rows.tokens)] = static_cast<float>(d);
      sum += d;
    }
    sum = cuda::block_reduce<cuda::Add>(sum, 0.0);
  }
  if (threadIdx.x == 0) {
    dthreshold_H[blockIdx.x] = static_cast<float>(-rows.options.maximum * sum);
  }
}

Rows rows_of(const Tensor& entropy_BHT,
             const Tensor& threshold_H,
             const Tensor& outcomes_BT,
             const Tensor& positions_BT,
             const EntropyPenaltyOptions& options) {
  return {.batch = entropy_BHT.size(0),
          .tokens = entropy_BHT.size(2),
          .entropy_BHT = entropy_BHT.data<float>(),
          .threshold_H = threshold_H.data<float>(),
          .outcomes_BT = outcomes_BT.data<std::int32_t>(),
          .positions_BT = positions_BT ? positions_BT.data<std::int32_t>() : nullptr,
          .options = options};
}

cuda::LaunchConfig a_block_a_head(const Tensor& entropy_BHT) {
  return {.grid = dim3(narrow<unsigned>(entropy_BHT.size(1))), .block = dim3(kThreads)};
}

void entropy_penalty_cuda(const Tensor& entropy_BHT,
                          const Tensor& threshold_H,
                          const Tensor& outcomes_BT,
                          const Tensor& positions_BT,
                          Tensor& head_sums_H,
                          Tensor& penalty,
                          const EntropyPenaltyOptions& options) {
  cuda::launch(entropy_penalty_kernel, a_block_a_head(entropy_BHT),
               rows_of(entropy_BHT, threshold_H, outcomes_BT, positions_BT, options),
               head_sums_H.data<double>());
  cuda::launch(entropy_penalty_total_kernel,
               cuda::LaunchConfig{.grid = dim3(1), .block = dim3(kThreads)}, head_sums_H.numel(),
               options.scale, head_sums_H.data<double>(), penalty.data<float>());
}

void entropy_penalty_backward_cuda(const Tensor& dy,
                                   const Tensor& entropy_BHT,
                                   const Tensor& threshold_H,
                                   const Tensor& outcomes_BT,
                                   const Tensor& positions_BT,
                                   Tensor& dentropy_BHT,
                                   Tensor& dthreshold_H,
                                   const EntropyPenaltyOptions& options) {
  cuda::launch(entropy_penalty_backward_kernel, a_block_a_head(entropy_BHT),
               rows_of(entropy_BHT, threshold_H, outcomes_BT, positions_BT, options),
               dy.data<float>(), dentropy_BHT.data<float>(), dthreshold_H.data<float>());
}

CLS_KERNEL(entropy_penalty, kCuda, kF32, entropy_penalty_cuda);
CLS_KERNEL(entropy_penalty_backward, kCuda, kF32, entropy_penalty_backward_cuda);

}  // namespace
}  // namespace clausius::ops
