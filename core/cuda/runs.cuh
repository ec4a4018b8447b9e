// SPDX-License-Identifier: Apache-2.0
// Short runs of elements as floats whatever their type, quick index splitting, and loops that stay in registers.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

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

/// W neighbouring elements as they lie in memory, which is aligned to min(16, W elements) bytes: half the registers for bf16.
template <int W, class T>
class Raw {
 public:
  Raw() = default;
  __device__ explicit Raw(const T* from) {
    CLS_UNROLL
    for (int i = 0; i < kUnits; ++i) {
      unit_[i] = reinterpret_cast<const Unit*>(from)[i];
    }
  }
  __device__ explicit Raw(const Floats<W>& floats) {
    T element[W];
    CLS_UNROLL
    for (int i = 0; i < W; ++i) {
      element[i] = T(floats.value[i]);
    }
    memcpy(static_cast<void*>(unit_), element, sizeof unit_);
  }
  __device__ Floats<W> floats() const {
    T element[W];
    memcpy(static_cast<void*>(element), unit_, sizeof unit_);
    Floats<W> out;
    CLS_UNROLL
    for (int i = 0; i < W; ++i) {
      out.value[i] = static_cast<float>(element[i]);
    }
    return out;
  }
  __device__ void store(T* to) const {
    CLS_UNROLL
    for (int i = 0; i < kUnits; ++i) {
      reinterpret_cast<Unit*>(to)[i] = unit_[i];
    }
  }

 private:
  static constexpr std::size_t kBytes = W * sizeof(T);
  using Unit =
      std::conditional_t<W == 1, T, std::conditional_t<kBytes % sizeof(uint4) == 0, uint4, uint2>>;
  static_assert(kBytes % sizeof(Unit) == 0);
  static constexpr int kUnits = static_cast<int>(kBytes / sizeof(Unit));

  Unit unit_[kUnits];
};

template <int W, class T>
__device__ Floats<W> load_floats(const T* from) {
  return Raw<W, T>(from).floats();
}

template <int W, class T>
__device__ void store_floats(T* to, const Floats<W>& floats) {
  Raw<W, T>(floats).store(to);
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
