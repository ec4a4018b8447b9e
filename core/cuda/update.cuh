// SPDX-License-Identifier: Apache-2.0
// What the optimizer passes share: ranges of flat buffers walked in pieces, and an f64 sum of the pieces in order.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/cuda/runs.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/update_range.h"

namespace clausius::cuda {

inline constexpr int kUpdateThreads = 256;
/// Elements of a piece (a block's work); pieces begin at its multiples, so that only the ends of a range break vectors.
inline constexpr std::int64_t kUpdatePiece = 1 << 13;
/// Elements of a vector of the f32 buffers.
inline constexpr int kUpdateWidth = 4;

/// Ranges of one launch, passed by value: 2.5 of the 4 KiB that arguments may take.
struct UpdateBatch {
  static constexpr int kMost = 64;
  int count = 0;
  std::int64_t pieces = 0;
  std::int64_t first_piece[kMost] = {};
  std::int64_t begin[kMost] = {};
  std::int64_t end[kMost] = {};
  double lr_scale[kMost] = {};
  double weight_decay[kMost] = {};
};

/// fn(batch, number of its first piece) for the ranges that are not empty; returns the number of pieces in all.
template <class Fn>
std::int64_t for_each_batch(UpdateRanges ranges, const Fn& fn) {
  std::int64_t before = 0;
  UpdateBatch batch;
  const auto flush = [&] {
    if (batch.count > 0) {
      fn(batch, before);
      before += batch.pieces;
      batch = {};
    }
  };
  for (const UpdateRange& range : ranges) {
    if (range.begin == range.end) {
      continue;
    }
    const int i = batch.count++;
    batch.first_piece[i] = batch.pieces;
    batch.begin[i] = range.begin;
    batch.end[i] = range.end;
    batch.lr_scale[i] = range.lr_scale;
    batch.weight_decay[i] = range.weight_decay;
    batch.pieces += div_ceil(range.end, kUpdatePiece) - range.begin / kUpdatePiece;
    if (batch.count == UpdateBatch::kMost) {
      flush();
    }
  }
  flush();
  return before;
}

[[nodiscard]] inline std::int64_t count_pieces(UpdateRanges ranges) {
  return for_each_batch(ranges, [](const UpdateBatch&, std::int64_t) {});
}

/// The block's piece: `update(width, i, range)` changes elements [i, i + width) and returns the sum of squares of the change, `width` an
/// integral_constant 4 or 1. Returns the piece's sum in f64, the same in all threads.
template <class Update>
__device__ double walk_piece(const UpdateBatch& batch, bool aligned, const Update& update) {
  int range = 0;
  while (range + 1 < batch.count && batch.first_piece[range + 1] <= blockIdx.x) {
    ++range;
  }
  const std::int64_t piece =
      batch.begin[range] / kUpdatePiece + (blockIdx.x - batch.first_piece[range]);
  const std::int64_t begin = std::max<std::int64_t>(batch.begin[range], piece * kUpdatePiece);
  const std::int64_t end = std::min<std::int64_t>(batch.end[range], (piece + 1) * kUpdatePiece);
  double sum = 0.0;
  CLS_UNROLL_4
  for (std::int64_t i = piece * kUpdatePiece + std::int64_t{threadIdx.x} * kUpdateWidth; i < end;
       i += std::int64_t{kUpdateThreads} * kUpdateWidth) {
    if (aligned && i >= begin && i + kUpdateWidth <= end) {
      sum += static_cast<double>(update(std::integral_constant<int, kUpdateWidth>(), i, range));
      continue;
    }
    for (std::int64_t one = std::max(i, begin); one < std::min(i + kUpdateWidth, end); ++one) {
      sum += static_cast<double>(update(std::integral_constant<int, 1>(), one, range));
    }
  }
  return block_reduce<Add>(sum, 0.0);
}

/// *sum = partial[0] + .. in an order that depends on the count alone. One block of 1024.
static __global__ void __launch_bounds__(1024)
    ordered_sum_kernel(std::int64_t count, const double* partial, double* sum) {
  double own = 0.0;
  CLS_UNROLL_4
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    own += partial[i];
  }
  own = block_reduce<Add>(own, 0.0);
  if (threadIdx.x == 0) {
    *sum = own;
  }
}

/// sum = the sum of f64 values, both on the device.
inline void ordered_sum(const Tensor& partial, Tensor& sum) {
  const std::int64_t threads =
      std::clamp<std::int64_t>(round_up<std::int64_t>(partial.numel(), kWarp), kWarp, 1024);
  launch(ordered_sum_kernel,
         LaunchConfig{.grid = dim3(1), .block = dim3(narrow<unsigned>(threads))}, partial.numel(),
         partial.data<double>(), sum.data<double>());
}

}  // namespace clausius::cuda
