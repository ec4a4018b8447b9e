// SPDX-License-Identifier: Apache-2.0
// Short runs of elements as floats whatever their type, quick index splitting, and loops that stay in registers.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/cuda/vec.cuh"

/// Before a loop over an array that has to live in registers.
#ifdef CLS_CUDA_EMULATION
#define CLS_UNROLL
#define CLS_UNROLL_4
#else
#define CLS_UNROLL _Pragma("unroll")
#define CLS_UNROLL_4 _Pragma("unroll 4")
#endif

namespace clausius::cuda {

/// W neighbouring elements; memory aligned to min(16, W elements) bytes.
template <int W, class T>
__device__ Floats<W> load_floats(const T* from) {
  Floats<W> out;
  if constexpr (W == 1) {
    out.value[0] = static_cast<float>(*from);
  } else {
    using Unit = std::conditional_t<W * sizeof(T) % sizeof(uint4) == 0, uint4, uint2>;
    static_assert(W * sizeof(T) % sizeof(Unit) == 0);
    constexpr int kUnits = static_cast<int>(W * sizeof(T) / sizeof(Unit));
    Unit raw[kUnits];
    CLS_UNROLL
    for (int i = 0; i < kUnits; ++i) {
      raw[i] = reinterpret_cast<const Unit*>(from)[i];
    }
    T element[W];
    memcpy(static_cast<void*>(element), raw, sizeof raw);
    CLS_UNROLL
    for (int i = 0; i < W; ++i) {
      out.value[i] = static_cast<float>(element[i]);
    }
  }
  return out;
}

template <int W, class T>
__device__ void store_floats(T* to, const Floats<W>& floats) {
  if constexpr (W == 1) {
    *to = T(floats.value[0]);
  } else {
    using Unit = std::conditional_t<W * sizeof(T) % sizeof(uint4) == 0, uint4, uint2>;
    static_assert(W * sizeof(T) % sizeof(Unit) == 0);
    constexpr int kUnits = static_cast<int>(W * sizeof(T) / sizeof(Unit));
    T element[W];
    CLS_UNROLL
    for (int i = 0; i < W; ++i) {
      element[i] = T(floats.value[i]);
    }
    Unit raw[kUnits];
    memcpy(raw, element, sizeof raw);
    CLS_UNROLL
    for (int i = 0; i < kUnits; ++i) {
      reinterpret_cast<Unit*>(to)[i] = raw[i];
    }
  }
}

struct Split {
  std::int64_t quotient;
  std::int64_t rest;
};

/// a / b and a % b of numbers that are not negative; in 32 bits where they fit, several times faster than in 64.
__device__ inline Split split(std::int64_t a, std::int64_t b) {
  if (((a | b) >> 32) == 0) {
    const auto small_a = static_cast<std::uint32_t>(a);
    const auto small_b = static_cast<std::uint32_t>(b);
    return {small_a / small_b, small_a % small_b};
  }
  return {a / b, a % b};
}

}  // namespace clausius::cuda
