// SPDX-License-Identifier: Apache-2.0
// Element by element over tensors of one shape and any strides: a thread takes a short run of the innermost dimension.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/cuda/runs.cuh"
#include "core/tensor.h"

namespace clausius::cuda {

/// Sizes and steps in elements, innermost first, of N tensors; neighbouring dimensions that all walk evenly are one.
template <int N>
struct StridedPlan {
  std::int64_t runs = 1;
  int rank = 0;
  std::int64_t size[kMaxRank] = {};
  std::int64_t step[kMaxRank][N] = {};
};

/// Shapes are equal and not empty.
template <int N>
[[nodiscard]] StridedPlan<N> strided_plan(const std::array<const Tensor*, N>& tensors) {
  StridedPlan<N> plan;
  const Shape& shape = tensors[0]->shape();
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    if (shape[axis] == 1) {
      continue;
    }
    bool continues = plan.rank > 0;
    for (std::size_t i = 0; continues && i < N; ++i) {
      continues =
          tensors[i]->stride(axis) == plan.step[plan.rank - 1][i] * plan.size[plan.rank - 1];
    }
    if (continues) {
      plan.size[plan.rank - 1] *= shape[axis];
      continue;
    }
    plan.size[plan.rank] = shape[axis];
    for (std::size_t i = 0; i < N; ++i) {
      plan.step[plan.rank][i] = tensors[i]->stride(axis);
    }
    ++plan.rank;
  }
  if (plan.rank == 0) {
    plan.rank = 1;
    plan.size[0] = 1;
    std::fill_n(plan.step[0], N, 1);
  }
  for (int axis = 1; axis < plan.rank; ++axis) {
    plan.runs *= plan.size[axis];
  }
  return plan;
}

/// True when runs of `width` elements of every tensor that is dense inside start on sixteen bytes (or on their own size).
template <int N>
[[nodiscard]] bool runs_are_aligned(const StridedPlan<N>& plan,
                                    const std::array<const Tensor*, N>& tensors,
                                    int width) {
  for (std::size_t i = 0; i < N; ++i) {
    if (plan.step[0][i] != 1) {
      continue;
    }
    const auto bytes = static_cast<std::int64_t>(size_of(tensors[i]->dtype()));
    const std::int64_t wanted = std::min<std::int64_t>(16, width * bytes);
    bool fits = reinterpret_cast<std::intptr_t>(tensors[i]->raw()) % wanted == 0;
    for (int axis = 1; axis < plan.rank; ++axis) {
      fits = fits && plan.step[axis][i] * bytes % wanted == 0;
    }
    if (!fits) {
      return false;
    }
  }
  return true;
}

/// A grid for for_each_run: a thread a run.
template <int W, int N>
[[nodiscard]] LaunchConfig run_grid(const StridedPlan<N>& plan) {
  return grid_over(plan.runs * div_ceil<std::int64_t>(plan.size[0], W));
}

/// fn(offset of each tensor, count): runs of up to W elements of the innermost dimension that cover all.
template <int W, int N, class Fn>
__device__ void for_each_run(const StridedPlan<N>& plan, const Fn& fn) {
  const std::int64_t width = plan.size[0];
  const std::int64_t pieces = W == 1 ? width : (width + W - 1) / W;
  for (std::int64_t item = global_index(); item < plan.runs * pieces; item += global_threads()) {
    Split at = plan.rank == 1 ? Split{0, item} : split(item, pieces);
    const std::int64_t first = at.rest * W;
    std::int64_t offset[N];
    for (int i = 0; i < N; ++i) {
      offset[i] = first * plan.step[0][i];
    }
    for (int axis = 1; axis < plan.rank; ++axis) {
      at = split(at.quotient, plan.size[axis]);
      for (int i = 0; i < N; ++i) {
        offset[i] += at.rest * plan.step[axis][i];
      }
    }
    fn(offset, width - first < W ? static_cast<int>(width - first) : W);
  }
}

/// `count` elements `step` apart from memory, the others 0. `step` is the same for all threads.
template <int W, class T>
__device__ Floats<W> load_run(const T* from, std::int64_t step, int count) {
  if (step == 1 && count == W) {
    return load_floats<W>(from);
  }
  Floats<W> out;
  CLS_UNROLL
  for (int i = 0; i < W; ++i) {
    out.value[i] = i < count ? static_cast<float>(from[i * step]) : 0.0F;
  }
  return out;
}

template <int W, class T>
__device__ void store_run(T* to, std::int64_t step, int count, const Floats<W>& floats) {
  if (step == 1 && count == W) {
    return store_floats<W>(to, floats);
  }
  CLS_UNROLL
  for (int i = 0; i < W; ++i) {
    if (i < count) {
      to[i * step] = T(floats.value[i]);
    }
  }
}

}  // namespace clausius::cuda
