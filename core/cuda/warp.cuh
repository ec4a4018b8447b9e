// SPDX-License-Identifier: Apache-2.0
// Sums and maxima over warps and blocks, in an order that depends on the shape alone.
#pragma once

#include <cuda_runtime.h>

namespace clausius::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffU;
inline constexpr int kWarp = 32;

struct Add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
/// A NaN on either side comes through.
struct Max {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a != a ? a : (b > a || b != b) ? b : a;
  }
};

/// The same value in every lane.
template <class Op, class T>
__device__ T warp_reduce(T value, Op op = {}) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    value = op(value, __shfl_xor_sync(kAllLanes, value, step));
  }
  return value;
}

/// The same value in every thread of a block of whole warps (up to 32). All threads must call it.
template <class Op, class T>
__device__ T block_reduce(T value, T identity, Op op = {}) {
  __shared__ T partial[kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  value = warp_reduce<Op>(value, op);
  __syncthreads();  // a previous call's readers are done
  if (lane == 0) {
    partial[warp] = value;
  }
  __syncthreads();
  return warp_reduce<Op>(lane < warps ? partial[lane] : identity, op);
}

}  // namespace clausius::cuda
