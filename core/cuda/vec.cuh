// SPDX-License-Identifier: Apache-2.0
// Elements of f32 or bf16 as floats, sixteen bytes at a time where memory is aligned.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/cuda/launch.cuh"
#include "core/dtype.h"
#include "core/tensor.h"

namespace clausius::cuda {

/// Some floats in registers.
template <int kCount>
struct Floats {
  float value[kCount];
};

/// How a loop body reads and writes W neighbouring elements of type T.
template <class T, int W>
struct Part {
  static constexpr int kWidth = W;

  __device__ static Floats<W> load(const T* from) {
    Floats<W> out;
    if constexpr (W == 1) {
      out.value[0] = static_cast<float>(*from);
    } else {
      static_assert(W * sizeof(T) == sizeof(uint4));
      const uint4 raw = *reinterpret_cast<const uint4*>(from);
      T element[W];
      memcpy(static_cast<void*>(element), &raw, sizeof raw);
      for (int i = 0; i < W; ++i) {
        out.value[i] = static_cast<float>(element[i]);
      }
    }
    return out;
  }

  __device__ static void store(T* to, const Floats<W>& floats) {
    if constexpr (W == 1) {
      *to = T(floats.value[0]);
    } else {
      T element[W];
      for (int i = 0; i < W; ++i) {
        element[i] = T(floats.value[i]);
      }
      uint4 raw;
      memcpy(&raw, element, sizeof raw);
      *reinterpret_cast<uint4*>(to) = raw;
    }
  }

  /// fn of each float.
  template <class Fn, class... More>
  __device__ static Floats<W> map(const Fn& fn, const Floats<W>& first, const More&... more) {
    Floats<W> out;
    for (int i = 0; i < W; ++i) {
      out.value[i] = fn(first.value[i], more.value[i]...);
    }
    return out;
  }
};

template <class T>
inline constexpr int kVectorWidth = static_cast<int>(sizeof(uint4) / sizeof(T));

/// True when vectors may be read from all of them.
template <class... Pointers>
[[nodiscard]] bool aligned_for_vectors(const Pointers*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % sizeof(uint4) == 0) && ...);
}

/// A grid for for_each_vector over n elements.
template <class T>
[[nodiscard]] LaunchConfig vector_grid(std::int64_t n) {
  return grid_over(div_ceil<std::int64_t>(n, kVectorWidth<T>));
}

/// fn(part, i) for runs of elements starting at i that cover [0, n): whole vectors when `aligned`, single elements else.
template <class T, class Fn>
__device__ void for_each_vector(std::int64_t n, bool aligned, const Fn& fn) {
  std::int64_t done = 0;
  if (aligned) {
    const std::int64_t vectors = n / kVectorWidth<T>;
    for (std::int64_t i = global_index(); i < vectors; i += global_threads()) {
      fn(Part<T, kVectorWidth<T>>{}, i * kVectorWidth<T>);
    }
    done = vectors * kVectorWidth<T>;
  }
  for (std::int64_t i = done + global_index(); i < n; i += global_threads()) {
    fn(Part<T, 1>{}, i);
  }
}

}  // namespace clausius::cuda
