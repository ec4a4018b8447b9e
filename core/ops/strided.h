// SPDX-License-Identifier: Apache-2.0
// Walks tensors of one shape and different strides as few long runs of their last dimension.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "core/parallel.h"
#include "core/tensor.h"

namespace clausius::ops::detail {

/// Offsets and inner strides are in elements. A stride of 0 repeats an element (a broadcast
/// operand).
template <std::size_t N>
class StridedRuns {
 public:
  using Offsets = std::array<std::int64_t, N>;

  /// The tensors' shapes must be equal. Neighbouring dimensions that every tensor walks evenly are
  /// merged.
  explicit StridedRuns(const std::array<const Tensor*, N>& tensors) {
    const Shape& shape = tensors[0]->shape();
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (shape[axis] == 1) {
        continue;
      }
      Offsets step;
      for (std::size_t i = 0; i < N; ++i) {
        step[i] = tensors[i]->stride(axis);
      }
      if (rank_ > 0 && continues(step)) {
        sizes_[rank_ - 1] *= shape[axis];
      } else {
        sizes_[rank_] = shape[axis];
        steps_[rank_++] = step;
      }
    }
    if (rank_ == 0) {
      sizes_[0] = 1;
      steps_[0].fill(1);
      rank_ = 1;
    }
    for (std::size_t axis = 1; axis < rank_; ++axis) {
      runs_ *= sizes_[axis];
    }
    if (shape.numel() == 0) {
      runs_ = 0;
    }
  }

  /// Elements of one run and the distance between them.
  [[nodiscard]] std::int64_t width() const { return sizes_[0]; }
  [[nodiscard]] const Offsets& inner_steps() const { return steps_[0]; }

  /// Calls fn(first element of each tensor, count) over pieces that cover every element once, about
  /// `grain` elements a task.
  template <class Fn>
  void parallel(std::int64_t grain, const Fn& fn) const {
    const std::int64_t pieces = std::max<std::int64_t>(1, div_ceil(width(), grain));
    const std::int64_t length = div_ceil(width(), pieces);
    parallel_for(runs_ * pieces,
                 std::max<std::int64_t>(1, grain / std::max<std::int64_t>(1, length)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t task = begin; task < end; ++task) {
                     const std::int64_t start = (task % pieces) * length;
                     Offsets offsets = run_start(task / pieces);
                     for (std::size_t i = 0; i < N; ++i) {
                       offsets[i] += start * steps_[0][i];
                     }
                     fn(offsets, std::min(length, width() - start));
                   }
                 });
  }

 private:
  [[nodiscard]] bool continues(const Offsets& step) const {
    for (std::size_t i = 0; i < N; ++i) {
      if (step[i] != steps_[rank_ - 1][i] * sizes_[rank_ - 1]) {
        return false;
      }
    }
    return true;
  }

  [[nodiscard]] Offsets run_start(std::int64_t run) const {
    Offsets offsets{};
    for (std::size_t axis = 1; axis < rank_; ++axis) {
      const std::int64_t index = run % sizes_[axis];
      run /= sizes_[axis];
      for (std::size_t i = 0; i < N; ++i) {
        offsets[i] += index * steps_[axis][i];
      }
    }
    return offsets;
  }

  // Innermost first.
  std::array<std::int64_t, kMaxRank> sizes_{};
  std::array<Offsets, kMaxRank> steps_{};
  std::size_t rank_ = 0;
  std::int64_t runs_ = 1;
};

}  // namespace clausius::ops::detail
