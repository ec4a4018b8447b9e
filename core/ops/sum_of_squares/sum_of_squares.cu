// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of sum_of_squares: blocks of 256 on chunks of 32768 elements, f64 throughout, the chunks added in order.
#include "core/cuda/update.cuh"
#include "core/ops/sum_of_squares/sum_of_squares.h"

namespace clausius::ops {
namespace {

constexpr std::int64_t kChunk = 1 << 15;
constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads)
    sum_of_squares_kernel(std::int64_t n, bool aligned, const T* x, double* partial) {
  constexpr int kWidth = cuda::kVectorWidth<T>;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kChunk;
  const std::int64_t length = n - first < kChunk ? n - first : kChunk;
  const std::int64_t vectors = aligned ? length / kWidth : 0;
  const T* from = x + first;
  double sum = 0.0;
  CLS_UNROLL_4
  for (std::int64_t i = threadIdx.x; i < vectors; i += kThreads) {
    const auto part = cuda::load_floats<kWidth>(from + i * kWidth);
    CLS_UNROLL
    for (const float value : part.value) {
      sum += static_cast<double>(value) * static_cast<double>(value);
    }
  }
  for (std::int64_t i = vectors * kWidth + threadIdx.x; i < length; i += kThreads) {
    const auto value = static_cast<double>(static_cast<float>(from[i]));
    sum += value * value;
  }
  sum = cuda::block_reduce<cuda::Add>(sum, 0.0);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
  }
}

template <class T>
void sum_of_squares_cuda(const Tensor& x_N, Tensor& sum) {
  const std::int64_t chunks = div_ceil(x_N.numel(), kChunk);
  Tensor partial = Tensor::empty({chunks}, Dtype::kF64, x_N.device());
  cuda::launch(sum_of_squares_kernel<T>,
               cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(chunks)), .block = dim3(kThreads)},
               x_N.numel(), cuda::aligned_for_vectors(x_N.raw()), x_N.data<T>(),
               partial.data<double>());
  cuda::ordered_sum(partial, sum);
}

CLS_KERNEL(sum_of_squares, kCuda, kF32, sum_of_squares_cuda<float>);
CLS_KERNEL(sum_of_squares, kCuda, kBf16, sum_of_squares_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
