// SPDX-License-Identifier: Apache-2.0
// Tensor cores by warp: m16n8k16 products of bf16, the loads that fill their operands, and copies that do not wait. In emulation the
// same functions exchange fragments between lanes.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/cuda/warp.cuh"
#include "core/dtype.h"

namespace clausius::cuda {

/// Two bf16 in a register, the first one low.
__device__ inline unsigned pack_bf16(float first, float second) {
#ifdef CLS_CUDA_EMULATION
  return unsigned{bf16(first).bits} | unsigned{bf16(second).bits} << 16;
#else
  unsigned packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(second), "f"(first));
  return packed;
#endif
}

/// 2^x to 2 ulp; results below 2^-126 are 0.
__device__ inline float fast_exp2(float x) {
#ifdef CLS_CUDA_EMULATION
  return exp2f(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

/// 16 x 16 (row-major), 16 x 8 (columns) and 16 x 8 f32 fragments, with r = lane / 4 and c = lane % 4:
/// a[0..3]: rows r, r + 8, r, r + 8; columns 2 c, 2 c, 2 c + 8, 2 c + 8 and the next. b[0..1]: rows 2 c, 2 c + 8 and the next, column r.
/// d[0..3]: rows r, r, r + 8, r + 8; columns 2 c, 2 c + 1, 2 c, 2 c + 1.
struct FragmentA {
  unsigned value[4];
};

/// d += a b. All lanes of the warp must call it.
__device__ inline void multiply_add(const FragmentA& a, unsigned b0, unsigned b1, float (&d)[4]) {
#ifdef CLS_CUDA_EMULATION
  const int lane = emulation::lane();
  const auto both = [](unsigned x, unsigned y) {
    return std::uint64_t{x} | std::uint64_t{y} << 32;
  };
  const auto element = [](std::uint64_t values, int n) {
    bf16 number;
    number.bits = static_cast<std::uint16_t>(values >> (16 * n));
    return static_cast<float>(number);
  };
  for (int c = 0; c < 4; ++c) {
    const int row = lane / 4 * 4 + c;
    const int column = lane % 4 * 8 + c;
    const std::uint64_t a_low = __shfl_sync(kAllLanes, both(a.value[0], a.value[2]), row);
    const std::uint64_t a_high = __shfl_sync(kAllLanes, both(a.value[1], a.value[3]), row);
    const std::uint64_t b_first = __shfl_sync(kAllLanes, both(b0, b1), column);
    const std::uint64_t b_second = __shfl_sync(kAllLanes, both(b0, b1), column + 4);
    for (int n = 0; n < 4; ++n) {
      d[0] += element(a_low, n) * element(b_first, n);
      d[1] += element(a_low, n) * element(b_second, n);
      d[2] += element(a_high, n) * element(b_first, n);
      d[3] += element(a_high, n) * element(b_second, n);
    }
  }
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a.value[0]), "r"(a.value[1]), "r"(a.value[2]), "r"(a.value[3]), "r"(b0), "r"(b1));
#endif
}

/// Four 8 x 8 matrices of bf16 in shared memory: lane l gives the address of row l % 8 of matrix l / 8 (16 bytes, aligned). Of matrix
/// n the lane gets elements (lane / 4, 2 (lane % 4)) and the next; transposed: elements (2 (lane % 4), lane / 4) and the one below.
/// Addresses are `tile` and elements after it, so that they need 32 bits.
template <bool kTranspose>
__device__ FragmentA load_matrices(const bf16* tile, unsigned element) {
  FragmentA out;
#ifdef CLS_CUDA_EMULATION
  const bf16* row = tile + element;
  const int lane = emulation::lane();
  const auto address = reinterpret_cast<std::uintptr_t>(row);
  for (int n = 0; n < 4; ++n) {
    if constexpr (kTranspose) {
      const auto first = __shfl_sync(kAllLanes, address, n * 8 + lane % 4 * 2);
      const auto second = __shfl_sync(kAllLanes, address, n * 8 + lane % 4 * 2 + 1);
      out.value[n] = unsigned{reinterpret_cast<const bf16*>(first)[lane / 4].bits} |
                     unsigned{reinterpret_cast<const bf16*>(second)[lane / 4].bits} << 16;
    } else {
      const auto from = __shfl_sync(kAllLanes, address, n * 8 + lane / 4);
      memcpy(&out.value[n], reinterpret_cast<const bf16*>(from) + lane % 4 * 2, 4);
    }
  }
#else
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(tile)) + 2 * element;
  if constexpr (kTranspose) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out.value[0]), "=r"(out.value[1]), "=r"(out.value[2]), "=r"(out.value[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out.value[0]), "=r"(out.value[1]), "=r"(out.value[2]), "=r"(out.value[3])
                 : "r"(address)
                 : "memory");
  }
#endif
  return out;
}

/// 16 bytes to shared memory, without waiting: zeros where not `exists` (then nothing is read). Both addresses are aligned.
__device__ inline void copy_async(bf16* tile, unsigned element, const bf16* from, bool exists) {
#ifdef CLS_CUDA_EMULATION
  bf16* to = tile + element;
  if (exists) {
    memcpy(static_cast<void*>(to), from, 16);
  } else {
    memset(static_cast<void*>(to), 0, 16);
  }
#else
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(tile)) + 2 * element;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(address), "l"(from), "r"(exists ? 16 : 0)
               : "memory");
#endif
}
/// Ends a group of copies of this thread.
__device__ inline void commit_copies() {
#ifndef CLS_CUDA_EMULATION
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits until at most kPending groups of this thread are under way. Other threads see the data after a barrier.
template <int kPending>
__device__ void wait_copies() {
#ifndef CLS_CUDA_EMULATION
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

}  // namespace clausius::cuda
