// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of row_squares: a warp for each token, blocks of 8 warps on 64 tokens, the blocks added in order.
#include "core/cuda/launch.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/row_squares/row_squares.h"

namespace clausius::ops {
namespace {

constexpr std::int64_t kChunk = 64;  // tokens
constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads) row_squares_kernel(std::int64_t rows,
                                                               std::int64_t tokens,
                                                               std::int64_t width,
                                                               const T* x,
                                                               const std::int32_t* lengths_B,
                                                               double* partial) {
  const int lane = static_cast<int>(threadIdx.x) % cuda::kWarp;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kChunk;
  const std::int64_t last = first + kChunk < rows ? first + kChunk : rows;
  double total = 0;
  for (std::int64_t row = first + threadIdx.x / cuda::kWarp; row < last;
       row += kThreads / cuda::kWarp) {
    if (row % tokens >= lengths_B[row / tokens]) {
      continue;
    }
    float sum = 0;
    for (std::int64_t m = lane; m < width; m += cuda::kWarp) {
      const auto value = static_cast<float>(x[row * width + m]);
      sum = fmaf(value, value, sum);
    }
    total += static_cast<double>(sum);
  }
  total = cuda::block_reduce<cuda::Add>(total, 0.0);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = total;
  }
}

__global__ void __launch_bounds__(kThreads) row_squares_sum_kernel(std::int64_t chunks,
                                                                   std::int64_t samples,
                                                                   std::int64_t width,
                                                                   const double* partial,
                                                                   const std::int32_t* lengths_B,
                                                                   double* sums) {
  double total = 0;
  double counted = 0;
  for (std::int64_t i = threadIdx.x; i < chunks; i += kThreads) {
    total += partial[i];
  }
  for (std::int64_t b = threadIdx.x; b < samples; b += kThreads) {
    counted += static_cast<double>(lengths_B[b] * width);
  }
  total = cuda::block_reduce<cuda::Add>(total, 0.0);
  counted = cuda::block_reduce<cuda::Add>(counted, 0.0);
  if (threadIdx.x == 0) {
    sums[0] += total;
    sums[1] += counted;
  }
}

template <class T>
void row_squares_cuda(const Tensor& x_BTM, const Tensor& lengths_B, Tensor& sums) {
  const std::int64_t rows = x_BTM.size(0) * x_BTM.size(1);
  const std::int64_t chunks = div_ceil(rows, kChunk);
  Tensor partial = Tensor::empty({chunks}, Dtype::kF64, x_BTM.device());
  cuda::launch(row_squares_kernel<T>,
               cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(chunks)), .block = dim3(kThreads)},
               rows, x_BTM.size(1), x_BTM.size(2), x_BTM.data<T>(), lengths_B.data<std::int32_t>(),
               partial.data<double>());
  cuda::launch(row_squares_sum_kernel, cuda::LaunchConfig{.grid = dim3(1), .block = dim3(kThreads)},
               chunks, x_BTM.size(0), x_BTM.size(2), partial.data<double>(),
               lengths_B.data<std::int32_t>(), sums.data<double>());
}

CLS_KERNEL(row_squares, kCuda, kF32, row_squares_cuda<float>);
CLS_KERNEL(row_squares, kCuda, kBf16, row_squares_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
