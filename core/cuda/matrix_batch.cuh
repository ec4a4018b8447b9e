// SPDX-License-Identifier: Apache-2.0
// Many matrices in one launch: their descriptions passed by value, a block for every sixteen rows.
#pragma once

#include <cstdint>

#include "core/cuda/runs.cuh"

namespace clausius::cuda {

/// Rows of a block's chunk; few, so that a second walk over them finds them in cache.
inline constexpr int kChunkRows = 16;
inline constexpr int kMatrixThreads = 256;

/// What every kernel over matrices knows of one.
struct MatrixItem {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t first_chunk = 0;  // among the chunks of the launch
  std::int64_t u_at = 0;
  std::int64_t v_at = 0;
};

/// Matrices of one launch; at most 40, and fewer where Item is large: arguments may take 4 KiB.
template <class Item>
struct MatrixBatch {
  static constexpr int kFit = 3800 / static_cast<int>(sizeof(MatrixItem) + sizeof(Item));
  static constexpr int kMost = kFit < 40 ? kFit : 40;
  int count = 0;
  std::int64_t first = 0;  // number of the first matrix in the whole list
  std::int64_t chunks = 0;
  MatrixItem matrix[kMost] = {};
  Item item[kMost] = {};
};

/// fn(batch) for all matrices in order; shape_of(i) and item_of(i) describe matrix i.
template <class Item, class ShapeOf, class ItemOf, class Fn>
void for_each_matrix_batch(std::int64_t count,
                           const ShapeOf& shape_of,
                           const ItemOf& item_of,
                           const Fn& fn) {
  MatrixBatch<Item> batch;
  std::int64_t u_at = 0;
  std::int64_t v_at = 0;
  for (std::int64_t e = 0; e < count; ++e) {
    const Shape shape = shape_of(e);
    batch.matrix[batch.count] = {.rows = shape[0],
                                 .columns = shape[1],
                                 .first_chunk = batch.chunks,
                                 .u_at = u_at,
                                 .v_at = v_at};
    batch.item[batch.count] = item_of(e);
    batch.chunks += div_ceil<std::int64_t>(shape[0], kChunkRows);
    u_at += shape[1];
    v_at += shape[0];
    if (++batch.count == MatrixBatch<Item>::kMost || e + 1 == count) {
      fn(batch);
      batch = {};
      batch.first = e + 1;
    }
  }
}

/// The matrix that this block's chunk belongs to.
template <class Item>
__device__ int matrix_of_block(const MatrixBatch<Item>& batch) {
  int e = 0;
  while (e + 1 < batch.count && batch.matrix[e + 1].first_chunk <= blockIdx.x) {
    ++e;
  }
  return e;
}

template <class Item>
[[nodiscard]] LaunchConfig block_per_chunk(const MatrixBatch<Item>& batch) {
  return {.grid = dim3(narrow<unsigned>(batch.chunks)), .block = dim3(kMatrixThreads)};
}
template <class Item>
[[nodiscard]] LaunchConfig block_per_matrix(const MatrixBatch<Item>& batch) {
  return {.grid = dim3(narrow<unsigned>(batch.count)), .block = dim3(kMatrixThreads)};
}

}  // namespace clausius::cuda
