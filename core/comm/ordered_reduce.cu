// SPDX-License-Identifier: Apache-2.0
// Rank-ordered and tree-ordered reductions of blocks on a GPU: each element by one thread.
#include "core/comm/ordered_reduce.h"
#include "core/comm/ordered_reduce_device.h"
#include "core/cuda/launch.cuh"

namespace clausius::detail {
namespace {

// Deep enough for 2^16 ranks.
constexpr int kTreeLevels = 16;

template <class From, class T>
__device__ T in_rank_order(const From* blocks, int ranks, std::int64_t step, ReduceOp op) {
  T value = static_cast<T>(blocks[0]);
  for (int rank = 1; rank < ranks; ++rank) {
    value = combine(value, static_cast<T>(blocks[rank * step]), op);
  }
  return value;
}

// Pairs, pairs of pairs, and so on: partial[k] holds the sum of a whole subtree of 2^k ranks that waits for its neighbour.
template <class From, class T>
__device__ T in_tree_order(const From* blocks, int ranks, std::int64_t step, ReduceOp op) {
  T partial[kTreeLevels];
  for (int rank = 0; rank < ranks; ++rank) {
    T value = static_cast<T>(blocks[rank * step]);
    int level = 0;
    for (; (rank >> level) % 2 == 1; ++level) {
      value = combine(partial[level], value, op);
    }
    partial[level] = value;
  }
  // What is left are the subtrees of the binary digits of `ranks`, the smallest last.
  int level = 0;
  while ((ranks >> level) % 2 == 0) {
    ++level;
  }
  T value = partial[level];
  for (++level; (ranks >> level) > 0; ++level) {
    if ((ranks >> level) % 2 == 1) {
      value = combine(partial[level], value, op);
    }
  }
  return value;
}

template <class From, class T>
__global__ void reduce_blocks_kernel(const From* blocks,
                                     int ranks,
                                     std::int64_t step,
                                     std::int64_t n,
                                     ReduceOp op,
                                     bool tree,
                                     T* out) {
  for (std::int64_t i = cuda::global_index(); i < n; i += cuda::global_threads()) {
    out[i] = tree ? in_tree_order<From, T>(blocks + i, ranks, step, op)
                  : in_rank_order<From, T>(blocks + i, ranks, step, op);
  }
}

template <class To, class From>
__global__ void convert_kernel(const From* from, std::int64_t n, To* to) {
  for (std::int64_t i = cuda::global_index(); i < n; i += cuda::global_threads()) {
    to[i] = To(static_cast<float>(from[i]));
  }
}

cuda::LaunchConfig grid_on(cudaStream_t stream, std::int64_t n) {
  cuda::LaunchConfig config = cuda::grid_over(n);
  config.stream = stream;
  return config;
}

template <class From, class T>
void reduce_typed(const DeviceBlocks& blocks,
                  std::int64_t n,
                  ReduceOp op,
                  ReductionOrder order,
                  void* out,
                  cudaStream_t stream) {
  cuda::launch(reduce_blocks_kernel<From, T>, grid_on(stream, n),
               static_cast<const From*>(blocks.data), blocks.ranks, blocks.step, n, op,
               order == ReductionOrder::kTree, static_cast<T*>(out));
}

}  // namespace

void reduce_blocks(const DeviceBlocks& blocks,
                   std::int64_t n,
                   ReduceOp op,
                   ReductionOrder order,
                   void* out,
                   cudaStream_t stream) {
  switch (blocks.dtype) {
    case Dtype::kF32:
      return reduce_typed<float, float>(blocks, n, op, order, out, stream);
    case Dtype::kBf16:
      return reduce_typed<bf16, float>(blocks, n, op, order, out, stream);
    case Dtype::kF64:
      return reduce_typed<double, double>(blocks, n, op, order, out, stream);
    case Dtype::kI32:
      return reduce_typed<std::int32_t, std::int32_t>(blocks, n, op, order, out, stream);
    case Dtype::kI64:
      return reduce_typed<std::int64_t, std::int64_t>(blocks, n, op, order, out, stream);
    default:
      throw DtypeError(concat("cannot reduce ", blocks.dtype, " between ranks"));
  }
}

void narrow_to_bf16(const float* wide, bf16* narrow, std::int64_t n, cudaStream_t stream) {
  cuda::launch(convert_kernel<bf16, float>, grid_on(stream, n), wide, n, narrow);
}

void widen_from_bf16(const bf16* narrow, float* wide, std::int64_t n, cudaStream_t stream) {
  cuda::launch(convert_kernel<float, bf16>, grid_on(stream, n), narrow, n, wide);
}

}  // namespace clausius::detail
