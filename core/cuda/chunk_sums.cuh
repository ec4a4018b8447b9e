// SPDX-License-Identifier: Apache-2.0
// Sums of a pass over two or more arrays: chunks of fixed size, each a block's, their f64 sums added in order.
#pragma once

#include <cstdint>

#include "core/cuda/update.cuh"
#include "core/cuda/vec.cuh"

namespace clausius::cuda {

/// Elements of a chunk (a block's work) and the block.
inline constexpr std::int64_t kSumChunk = 1 << 15;
inline constexpr int kSumThreads = 256;

/// partial[k][block] = sum over the block's chunk of term k. `body(part, i, out)` handles the elements of `part` from i on and adds
/// their terms to `out`, f64 [kSums].
template <class T, int kSums, class Body>
__global__ void __launch_bounds__(kSumThreads)
    chunk_sums_kernel(std::int64_t n, bool aligned, Body body, double* partial) {
  constexpr int kWidth = kVectorWidth<T>;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kSumChunk;
  const std::int64_t length = n - first < kSumChunk ? n - first : kSumChunk;
  const std::int64_t vectors = aligned ? length / kWidth : 0;
  double sum[kSums] = {};
  CLS_UNROLL_4
  for (std::int64_t i = threadIdx.x; i < vectors; i += kSumThreads) {
    body(Part<T, kWidth>{}, first + i * kWidth, sum);
  }
  for (std::int64_t i = vectors * kWidth + threadIdx.x; i < length; i += kSumThreads) {
    body(Part<T, 1>{}, first + i, sum);
  }
  for (int k = 0; k < kSums; ++k) {
    const double total = block_reduce<Add>(sum[k], 0.0);
    if (threadIdx.x == 0) {
      partial[k * static_cast<std::int64_t>(gridDim.x) + blockIdx.x] = total;
    }
  }
}

/// sums [kSums] f64, dense. The elements are walked whether or not `sums` is defined.
template <class T, int kSums, class Body>
void chunk_sums(std::int64_t n, bool aligned, const Body& body, Device device, Tensor& sums) {
  const std::int64_t chunks = div_ceil(n, kSumChunk);
  Tensor partial = Tensor::empty({kSums, chunks}, Dtype::kF64, device);
  launch(chunk_sums_kernel<T, kSums, Body>,
         LaunchConfig{.grid = dim3(narrow<unsigned>(chunks)), .block = dim3(kSumThreads)}, n,
         aligned, body, partial.data<double>());
  for (std::int64_t k = 0; k < kSums && sums.defined(); ++k) {
    Tensor sum = sums.reshape({kSums}).select(0, k);
    ordered_sum(partial.select(0, k), sum);
  }
}

}  // namespace clausius::cuda
