// SPDX-License-Identifier: Apache-2.0
// Column sums of tall matrices: f32 over fixed chunks of rows, the chunks added in f64 in order. No atomics: the split depends on the
// shape alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/cuda/runs.cuh"

namespace clausius::cuda {

/// A block is 32 threads across, each with a vector of columns, times 8 rows at a time.
inline constexpr int kColumnLanes = 32;
inline constexpr int kRowLanes = 8;

/// Slabs of [rows, width], each summed over its rows in chunks.
struct ColumnPlan {
  std::int64_t slabs = 1;
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t rows_per_chunk = 0;
  std::int64_t chunks = 0;
  std::int64_t blocks_across = 0;

  [[nodiscard]] std::int64_t blocks() const { return slabs * chunks * blocks_across; }
};

/// About a thousand blocks in all (an H100 holds eight such blocks on each of its 132 processors), of 64 to 4096 rows: an f32 sum has
/// at most 512 terms in a row.
[[nodiscard]] inline ColumnPlan column_plan(std::int64_t slabs,
                                            std::int64_t rows,
                                            std::int64_t width,
                                            int vector) {
  ColumnPlan plan{.slabs = slabs, .rows = rows, .width = width};
  plan.blocks_across = div_ceil<std::int64_t>(width, std::int64_t{kColumnLanes} * vector);
  const std::int64_t wanted = std::max<std::int64_t>(1, 1024 / (plan.blocks_across * slabs));
  plan.rows_per_chunk =
      std::clamp<std::int64_t>(round_up<std::int64_t>(div_ceil(rows, wanted), kRowLanes), 64, 4096);
  plan.chunks = div_ceil(rows, plan.rows_per_chunk);
  return plan;
}

/// to[slab][chunk][k][column] = factor times sum k over the chunk's rows; `term(slab, row, column, out)` gives the terms of a vector of
/// columns, `Floats<W> out[kSums]`.
template <int W, int kSums, class Term>
__global__ void __launch_bounds__(kColumnLanes* kRowLanes)
    column_chunks_kernel(ColumnPlan plan, Term term, double factor, float* to) {
  __shared__ float partial[kRowLanes][kSums * kColumnLanes * W];
  const Split across = split(blockIdx.x, plan.blocks_across);
  const Split slab = split(across.quotient, plan.chunks);
  const std::int64_t first_column = across.rest * kColumnLanes * W;
  const std::int64_t column = first_column + static_cast<std::int64_t>(threadIdx.x) * W;
  const std::int64_t begin = slab.rest * plan.rows_per_chunk;
  const std::int64_t end =
      begin + plan.rows_per_chunk < plan.rows ? begin + plan.rows_per_chunk : plan.rows;
  Floats<W> sum[kSums] = {};
  if (column < plan.width) {
    CLS_UNROLL_4
    for (std::int64_t row = begin + threadIdx.y; row < end; row += kRowLanes) {
      Floats<W> out[kSums];
      term(slab.quotient, row, column, out);
      CLS_UNROLL
      for (int k = 0; k < kSums; ++k) {
        CLS_UNROLL
        for (int i = 0; i < W; ++i) {
          sum[k].value[i] += out[k].value[i];
        }
      }
    }
  }
  CLS_UNROLL
  for (int k = 0; k < kSums; ++k) {
    CLS_UNROLL
    for (int i = 0; i < W; ++i) {
      partial[threadIdx.y][(k * kColumnLanes + static_cast<int>(threadIdx.x)) * W + i] =
          sum[k].value[i];
    }
  }
  __syncthreads();
  const int self = static_cast<int>(threadIdx.y) * kColumnLanes + static_cast<int>(threadIdx.x);
  for (int j = self; j < kSums * kColumnLanes * W; j += kColumnLanes * kRowLanes) {
    double total = 0.0;
    CLS_UNROLL
    for (int lane = 0; lane < kRowLanes; ++lane) {
      total += static_cast<double>(partial[lane][j]);
    }
    const std::int64_t k = j / (kColumnLanes * W);
    const std::int64_t at = first_column + j % (kColumnLanes * W);
    if (at < plan.width) {
      to[(across.quotient * kSums + k) * plan.width + at] = static_cast<float>(factor * total);
    }
  }
}

/// Where the chunks' sums lie and where their totals go, in elements.
struct ColumnTotals {
  std::int64_t slabs = 1;
  std::int64_t chunks = 0;
  std::int64_t chunk_step = 0;
  std::int64_t width = 0;
  std::int64_t to_step = 1;
  double factor = 1.0;
  bool accumulate = false;
};

/// to[slab][column] = factor times the chunks' sums (plus what was there). 8 threads share a column, each a run of chunks, their f64
/// sums added in order: a block of 32 by 8.
static __global__ void __launch_bounds__(kColumnLanes* kRowLanes)
    column_totals_kernel(ColumnTotals totals, const float* partial, float* to) {
  __shared__ double sums[kRowLanes][kColumnLanes];
  const std::int64_t across = (totals.width + kColumnLanes - 1) / kColumnLanes;
  const Split block = split(blockIdx.x, across);
  const std::int64_t column = block.rest * kColumnLanes + threadIdx.x;
  const std::int64_t run = (totals.chunks + kRowLanes - 1) / kRowLanes;
  const std::int64_t begin = static_cast<std::int64_t>(threadIdx.y) * run;
  const std::int64_t end = begin + run < totals.chunks ? begin + run : totals.chunks;
  double sum = 0.0;
  if (column < totals.width) {
    const float* from = partial + block.quotient * totals.chunks * totals.chunk_step + column;
    CLS_UNROLL_4
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      sum += static_cast<double>(from[chunk * totals.chunk_step]);
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && column < totals.width) {
    double total = 0.0;
    CLS_UNROLL
    for (int lane = 0; lane < kRowLanes; ++lane) {
      total += sums[lane][threadIdx.x];
    }
    float* out = to + block.quotient * totals.width + column * totals.to_step;
    const auto value = static_cast<float>(totals.factor * total);
    *out = totals.accumulate ? value + *out : value;
  }
}

inline void column_totals(const ColumnTotals& totals, const float* partial, float* to) {
  launch(column_totals_kernel,
         LaunchConfig{.grid = dim3(narrow<unsigned>(
                          totals.slabs * div_ceil<std::int64_t>(totals.width, kColumnLanes))),
                      .block = dim3(kColumnLanes, kRowLanes)},
         totals, partial, to);
}

/// The chunks' sums of all slabs: [slabs, chunks, kSums, width] into `to`.
template <int W, int kSums, class Term>
void column_chunks(const ColumnPlan& plan, const Term& term, double factor, float* to) {
  launch(column_chunks_kernel<W, kSums, Term>,
         LaunchConfig{.grid = dim3(narrow<unsigned>(plan.blocks())),
                      .block = dim3(kColumnLanes, kRowLanes)},
         plan, term, factor, to);
}

/// The elements of a matrix themselves, rows `row_step` and slabs `slab_step` elements apart.
template <class T, int W>
struct ElementTerm {
  const T* x;
  std::int64_t slab_step;
  std::int64_t row_step;

  __device__ void operator()(std::int64_t slab,
                             std::int64_t row,
                             std::int64_t column,
                             Floats<W> (&out)[1]) const {
    const T* from = x + slab * slab_step + row * row_step + column;
    out[0] = load_floats<W>(from);
  }
};

/// A dense result [slabs, width], or with one slab one whose columns lie `to_step` apart.
struct ColumnSumsResult {
  float* to;
  std::int64_t to_step = 1;
  double factor = 1.0;
  bool accumulate = false;
};

template <class T, int W>
void column_sums_in(const ColumnPlan& plan,
                    const ElementTerm<T, W>& term,
                    const ColumnSumsResult& result,
                    Device device) {
  if (plan.chunks == 1 && result.to_step == 1 && !result.accumulate) {
    return column_chunks<W, 1>(plan, term, result.factor, result.to);
  }
  Tensor partial = Tensor::empty({plan.slabs, plan.chunks, plan.width}, Dtype::kF32, device);
  column_chunks<W, 1>(plan, term, 1.0, partial.data<float>());
  column_totals({.slabs = plan.slabs,
                 .chunks = plan.chunks,
                 .chunk_step = plan.width,
                 .width = plan.width,
                 .to_step = result.to_step,
                 .factor = result.factor,
                 .accumulate = result.accumulate},
                partial.data<float>(), result.to);
}

/// Column sums of slabs of dense rows.
template <class T>
void column_sums(const T* x,
                 std::int64_t slabs,
                 std::int64_t rows,
                 std::int64_t width,
                 std::int64_t slab_step,
                 std::int64_t row_step,
                 const ColumnSumsResult& result,
                 Device device) {
  constexpr int kWidth = kVectorWidth<T>;
  const bool vectors = aligned_for_vectors(x) && width % kWidth == 0 && row_step % kWidth == 0 &&
                       slab_step % kWidth == 0;
  if (vectors) {
    column_sums_in(column_plan(slabs, rows, width, kWidth),
                   ElementTerm<T, kWidth>{x, slab_step, row_step}, result, device);
  } else {
    column_sums_in(column_plan(slabs, rows, width, 1), ElementTerm<T, 1>{x, slab_step, row_step},
                   result, device);
  }
}

}  // namespace clausius::cuda
