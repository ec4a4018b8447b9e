// SPDX-License-Identifier: Apache-2.0
// What the general CUDA kernels of attention share: arguments as raw pointers, and products of 64 x 64 tiles through shared memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/cuda/launch.cuh"
#include "core/cuda/unroll.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/attention/attention.h"
#include "core/ops/attention/attention_dropout.cuh"

namespace clausius::ops::attention_cuda {

inline constexpr float kLog2E = 1.4426950408889634F;
inline constexpr float kLn2 = 0.6931471805599453F;
/// Below every logit, and far enough from -inf that differences of it stay finite.
inline constexpr float kNothing = -1.7e38F;

/// A block of 128 threads owns 64 rows. Thread (ty, tx) of 8 x 16 holds rows 8 ty .. 8 ty + 7 and, of a tile of 64 columns, columns
/// 4 tx .. 4 tx + 3, so that a row lies in 16 neighbouring lanes and four keys share one draw of dropout words.
inline constexpr int kTile = 64;
inline constexpr int kThreads = 128;
inline constexpr int kOwnRows = 8;
inline constexpr int kOwnColumns = 4;
inline constexpr int kLanes = kTile / kOwnColumns;
/// Operands pass through shared memory 32 columns at a time; rows 36 and 68 floats apart keep 16-byte reads free of conflicts.
inline constexpr int kDepth = 32;
inline constexpr int kDepthStride = 36;
inline constexpr int kTileStride = 68;
/// Output columns a block keeps in registers: one or two chunks of 64. Wider heads are cut into parts, each a block of its own.
inline constexpr int kChunk = 64;

/// Rows (b, h, i) of a [B, heads, T, width] or [B, T, heads, width] tensor with dense rows.
template <class T>
struct HeadRows {
  T* data = nullptr;
  std::int64_t batch = 0, head = 0, row = 0;

  HeadRows(const Tensor& tensor, int head_axis)
      : data(const_cast<T*>(tensor.data<std::remove_const_t<T>>())),
        batch(tensor.stride(0)),
        head(tensor.stride(head_axis)),
        row(tensor.stride(3 - head_axis)) {}
  __device__ T* at(std::int64_t b, std::int64_t h, std::int64_t i) const {
    return data + b * batch + h * head + i * row;
  }
};

/// Values (b, h, i) of a [B, H, T] tensor; zeros for an undefined one.
struct RowValues {
  const float* data = nullptr;
  std::int64_t batch = 0, head = 0, row = 0;

  RowValues() = default;
  explicit RowValues(const Tensor& tensor) {
    if (tensor.defined()) {
      data = tensor.data<float>();
      batch = tensor.stride(0);
      head = tensor.stride(1);
      row = tensor.stride(2);
    }
  }
  __device__ float at(std::int64_t b, std::int64_t h, std::int64_t i) const {
    return data == nullptr ? 0.0F : data[b * batch + h * head + i * row];
  }
};

/// Everything that makes a logit of a product q k.
struct Logits {
  const float* scales = nullptr;
  std::int64_t scale_head = 0, scale_row = 0;
  const float* sinks = nullptr;
  std::int64_t sink_head = 0;
  float scale = 1.0F;    // of every row
  float softcap = 0.0F;  // 0: none
  const std::int32_t* begin_BT = nullptr;
  const std::int32_t* end_BT = nullptr;

  Logits(const Tensor& scale_tensor, const Tensor& sink_tensor, const AttentionProblem& p)
      : scale(static_cast<float>(p.scale)),
        softcap(static_cast<float>(p.softcap)),
        begin_BT(p.begin_BT),
        end_BT(p.end_BT) {
    if (scale_tensor.defined()) {
      scales = scale_tensor.data<float>();
      scale_head = scale_tensor.stride(0);
      scale_row = scale_tensor.rank() == 2 ? scale_tensor.stride(1) : 0;
    }
    if (sink_tensor.defined()) {
      sinks = sink_tensor.data<float>();
      sink_head = sink_tensor.stride(0);
    }
  }
  __device__ float scale_of(std::int64_t h, std::int64_t i) const {
    return scales == nullptr ? scale : scale * scales[h * scale_head + i * scale_row];
  }
  __device__ float sink_of(std::int64_t h) const { return sinks[h * sink_head]; }
  /// s' in log2 units of s = scaled product, and the slope of the soft-cap there.
  __device__ float capped(float s, float& slope) const {
    if (softcap > 0) {
      const float ratio = tanhf(s / softcap);
      slope = 1 - ratio * ratio;
      return ratio * (softcap * kLog2E);
    }
    slope = 1;
    return s * kLog2E;
  }
};

struct Sizes {
  std::int64_t B, H, G, T, S, D, E;
  // Heads whose streams, k and v or q and dy, the L2 cache holds together.
  std::int64_t query_heads_at_once, key_heads_at_once;

  explicit Sizes(const AttentionProblem& p, std::size_t element_bytes)
      : B(p.B), H(p.H), G(p.G), T(p.T), S(p.S), D(p.D), E(p.E) {
    constexpr std::int64_t kCacheBytes = std::int64_t{16} << 20;  // of 40 and more
    const std::int64_t row = (D + E) * static_cast<std::int64_t>(element_bytes);
    const std::int64_t group = H / G;
    query_heads_at_once = group * std::max<std::int64_t>(1, kCacheBytes / (S * row + 1));
    key_heads_at_once = std::max<std::int64_t>(1, kCacheBytes / (T * row * group + 1));
  }
};

/// The head and which of its `blocks` a thread block takes, of a grid of blocks x heads: a few heads at a time, all their first blocks
/// first.
struct HeadBlock {
  std::int64_t head, block;

  __device__ HeadBlock(std::int64_t heads, std::int64_t blocks, std::int64_t at_once) {
    const auto index = static_cast<std::int64_t>(blockIdx.x);
    const std::int64_t first = index / (at_once * blocks) * at_once;
    const std::int64_t count = heads - first < at_once ? heads - first : at_once;
    const std::int64_t within = index - first * blocks;
    head = first + within % count;
    block = within / count;
  }
};

/// The block of queries of a thread block, of a grid of blocks x B x H: the last blocks come first, since they see most keys where the
/// mask is causal.
struct QueryBlock {
  std::int64_t head, b, h, g;  // head: b H + h
  std::int64_t blocks, block;
  std::int64_t first, last;  // rows

  __device__ QueryBlock(const Sizes& n, int rows) {
    blocks = (n.T + rows - 1) / rows;
    const HeadBlock at(n.B * n.H, blocks, n.query_heads_at_once);
    head = at.head;
    b = head / n.H;
    h = head % n.H;
    g = h / (n.H / n.G);
    block = blocks - 1 - at.block;
    first = block * rows;
    last = first + rows < n.T ? first + rows : n.T;
  }
};

/// The keys that some row of a block of queries sees; tiles in [full_begin, full_end) are seen whole by every row.
struct KeySpan {
  int begin;  // of a tile
  int end;
  int full_begin, full_end;

  __device__ KeySpan(const Logits& logits, const QueryBlock& at, std::int64_t T) {
    const std::int32_t* begins = logits.begin_BT + at.b * T;
    const std::int32_t* ends = logits.end_BT + at.b * T;
    begin = begins[at.first] / kTile * kTile;
    end = ends[at.last - 1];
    full_begin = begins[at.last - 1];
    full_end = ends[at.first];
  }
  __device__ bool full(int key, int width = kTile) const {
    return full_begin <= key && key + width <= full_end;
  }
};

/// All that the forward kernels get.
template <class T>
struct ForwardArguments {
  HeadRows<const T> q, k, v;
  Logits logits;
  Dropout dropout;
  Sizes sizes;
  HeadRows<T> y;
  float* entropy;    // [B, H, T]
  float* lse;        // [B, H, T]
  float* block_max;  // [B, H, blocks of queries]
};

/// Entropy and lse of one row from its running maximum (log2 units), sum and weighted sum; `choices`: visible keys and the sink.
template <class T>
__device__ void write_statistics(const ForwardArguments<T>& a,
                                 std::int64_t row,
                                 int choices,
                                 float max,
                                 float sum,
                                 float weighted) {
  const bool seen = sum != 0;
  const float most = choices > 0 ? logf(static_cast<float>(choices)) : 0.0F;
  const float log_sum = logf(sum);
  const float entropy = log_sum - kLn2 * weighted / sum;
  // In this order NaN comes through.
  a.entropy[row] = !seen ? 0.0F : entropy < 0 ? 0.0F : entropy > most ? most : entropy;
  a.lse[row] = seen ? max * kLn2 + log_sum : -std::numeric_limits<float>::infinity();
}

/// All that the backward kernels get.
template <class T>
struct BackwardArguments {
  HeadRows<const T> q, k, v, dy, y;
  RowValues dentropy, dlse, entropy, lse;
  Logits logits;
  Dropout dropout;
  Sizes sizes;
  HeadRows<T> dq, dk, dv;
  float* shift;       // [B, H, T]: <dy, y> - dlse + dentropy H
  float* row_dscale;  // [B, H, T], or null where there is no scale or sink
  float* row_dsink;
  bool pairs = false;  // gradients may be written two bf16 at a time
};

/// First i in [0, T) with values[i] >= bound; values ascend.
__device__ inline std::int64_t first_at_least(const std::int32_t* values,
                                              std::int64_t T,
                                              std::int64_t bound) {
  std::int64_t low = 0;
  std::int64_t high = T;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (values[middle] >= bound) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/// The block of keys of a thread block, of a grid of blocks x B x G, and rows [first_row, last_row) of the queries that may see one
/// of them. Keys past last_key may be memory nobody wrote.
struct KeyBlock {
  std::int64_t b, g;
  std::int64_t first, last_key;
  std::int64_t first_row, last_row;
  const std::int32_t* begins;  // [T]
  const std::int32_t* ends;

  __device__ KeyBlock(const Sizes& n, const Logits& logits, std::int64_t keys = kTile) {
    const HeadBlock at(n.B * n.G, (n.S + keys - 1) / keys, n.key_heads_at_once);
    b = at.head / n.G;
    g = at.head % n.G;
    first = at.block * keys;
    begins = logits.begin_BT + b * n.T;
    ends = logits.end_BT + b * n.T;
    first_row = first_at_least(ends, n.T, first + 1);
    last_row = first_at_least(begins, n.T, first + keys);
    last_key = first_row < last_row ? ends[n.T - 1] : first;
  }
};

/// Up to 64 rows of one head.
template <class T>
struct TileRows {
  const T* data;
  std::int64_t stride;
  int count;
};

template <class T>
__device__ TileRows<T> tile_rows(const HeadRows<const T>& rows,
                                 std::int64_t b,
                                 std::int64_t h,
                                 std::int64_t first,
                                 std::int64_t end) {
  const std::int64_t left = end - first;
  return {rows.at(b, h, first), rows.row, static_cast<int>(left < kTile ? left : kTile)};
}

/// Where row r stands when four neighbouring rows belong to one thread: reads by 16 lanes then fall into different banks.
__device__ inline int interleaved(int r) {
  return r % kOwnColumns * kLanes + r / kOwnColumns;
}

/// to[r][c] = rows[r][first + c] for c < kWidth; zeros past the rows and past `width` columns.
template <int kWidth, bool kInterleave, class T>
__device__ void stage(const TileRows<T>& rows, std::int64_t first, std::int64_t width, float* to) {
  constexpr int kStride = kWidth == kDepth ? kDepthStride : kTileStride;
  const std::int64_t columns = width - first;
  CLS_UNROLL_BY(4)
  for (int n = static_cast<int>(threadIdx.x); n < kTile * kWidth; n += kThreads) {
    const int r = n / kWidth;
    const int c = n % kWidth;
    const bool exists = r < rows.count && c < columns;
    to[(kInterleave ? interleaved(r) : r) * kStride + c] =
        exists ? static_cast<float>(rows.data[r * rows.stride + first + c]) : 0.0F;
  }
}

using ScoreTile = float[kOwnRows][kOwnColumns];

/// Shared memory of a block, in floats.
struct SharedTiles {
  float* a;       // [64][36]
  float* b;       // [64][36]
  float* values;  // [64][68], in the place of a and b
  float* tile;    // [64][68]
};
inline constexpr int kSharedFloats = 2 * kTile * kDepthStride + kTile * kTileStride;
static_assert(kTile * kTileStride <= 2 * kTile * kDepthStride);

__device__ inline SharedTiles shared_tiles(float* memory) {
  return {memory, memory + kTile * kDepthStride, memory, memory + 2 * kTile * kDepthStride};
}

__device__ inline float dot4(const float4& a, const float4& b, float sum) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

/// out[row of a][row of b] = <a, b> over `width` columns, each thread its own part.
template <class T>
__device__ void multiply_rows(const TileRows<T>& a,
                              const TileRows<T>& b,
                              std::int64_t width,
                              const SharedTiles& shared,
                              ScoreTile& out) {
  const int ty = static_cast<int>(threadIdx.x) / kLanes;
  const int tx = static_cast<int>(threadIdx.x) % kLanes;
  for (auto& row : out) {
    for (float& value : row) {
      value = 0;
    }
  }
  for (std::int64_t first = 0; first < width; first += kDepth) {
    __syncthreads();  // readers of what stood there are done
    stage<kDepth, false>(a, first, width, shared.a);
    stage<kDepth, true>(b, first, width, shared.b);
    __syncthreads();
    const int depth = static_cast<int>(width - first < kDepth ? width - first : kDepth);
    for (int d = 0; d < depth; d += 4) {
      float4 column[kOwnColumns];
      CLS_UNROLL
      for (int j = 0; j < kOwnColumns; ++j) {
        column[j] =
            *reinterpret_cast<const float4*>(shared.b + (j * kLanes + tx) * kDepthStride + d);
      }
      CLS_UNROLL
      for (int i = 0; i < kOwnRows; ++i) {
        const auto row =
            *reinterpret_cast<const float4*>(shared.a + (ty * kOwnRows + i) * kDepthStride + d);
        CLS_UNROLL
        for (int j = 0; j < kOwnColumns; ++j) {
          out[i][j] = dot4(row, column[j], out[i][j]);
        }
      }
    }
  }
}

/// A thread's part of shared.tile[row][column].
__device__ inline void store_tile(const ScoreTile& values, const SharedTiles& shared) {
  const int ty = static_cast<int>(threadIdx.x) / kLanes;
  const int tx = static_cast<int>(threadIdx.x) % kLanes;
  CLS_UNROLL
  for (int i = 0; i < kOwnRows; ++i) {
    *reinterpret_cast<float4*>(shared.tile + (ty * kOwnRows + i) * kTileStride + tx * kOwnColumns) =
        float4{values[i][0], values[i][1], values[i][2], values[i][3]};
  }
}

/// Sums of 64 rows by 64 kChunks columns of the output, each thread 8 x 4 of every chunk.
template <int kChunks>
struct Sums64 {
  float value[kChunks][kOwnRows][kOwnColumns] = {};

  __device__ void scale_row(int i, float factor) {
    CLS_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      CLS_UNROLL
      for (int e = 0; e < kOwnColumns; ++e) {
        value[chunk][i][e] *= factor;
      }
    }
  }

  /// += shared.tile rows[.][first + ..]; the tile was just stored, its columns past the rows are zero.
  template <class T>
  __device__ void add(const TileRows<T>& rows,
                      std::int64_t first,
                      std::int64_t width,
                      const SharedTiles& shared) {
    const int ty = static_cast<int>(threadIdx.x) / kLanes;
    const int tx = static_cast<int>(threadIdx.x) % kLanes;
    CLS_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const std::int64_t column = first + chunk * kChunk;
      if (column >= width) {
        break;
      }
      __syncthreads();
      stage<kChunk, false>(rows, column, width, shared.values);
      __syncthreads();
      for (int n = 0; n < rows.count; n += 4) {
        float4 entry[4];
        CLS_UNROLL
        for (int m = 0; m < 4; ++m) {
          entry[m] = *reinterpret_cast<const float4*>(shared.values + (n + m) * kTileStride +
                                                      tx * kOwnColumns);
        }
        CLS_UNROLL
        for (int i = 0; i < kOwnRows; ++i) {
          const auto weight =
              *reinterpret_cast<const float4*>(shared.tile + (ty * kOwnRows + i) * kTileStride + n);
          float(&sum)[kOwnColumns] = value[chunk][i];
          sum[0] = dot4(weight, {entry[0].x, entry[1].x, entry[2].x, entry[3].x}, sum[0]);
          sum[1] = dot4(weight, {entry[0].y, entry[1].y, entry[2].y, entry[3].y}, sum[1]);
          sum[2] = dot4(weight, {entry[0].z, entry[1].z, entry[2].z, entry[3].z}, sum[2]);
          sum[3] = dot4(weight, {entry[0].w, entry[1].w, entry[2].w, entry[3].w}, sum[3]);
        }
      }
    }
  }

  /// to[row][first + ..] = factor[row] sum, for `rows` rows and columns below `width`.
  template <class T>
  __device__ void store(T* to,
                        std::int64_t stride,
                        int rows,
                        std::int64_t first,
                        std::int64_t width,
                        const float (&factor)[kOwnRows]) const {
    const int ty = static_cast<int>(threadIdx.x) / kLanes;
    const int tx = static_cast<int>(threadIdx.x) % kLanes;
    CLS_UNROLL
    for (int i = 0; i < kOwnRows; ++i) {
      const int r = ty * kOwnRows + i;
      CLS_UNROLL
      for (int chunk = 0; chunk < kChunks; ++chunk) {
        CLS_UNROLL
        for (int e = 0; e < kOwnColumns; ++e) {
          const std::int64_t column = first + chunk * kChunk + tx * kOwnColumns + e;
          if (r < rows && column < width) {
            to[r * stride + column] = T(value[chunk][i][e] * factor[i]);
          }
        }
      }
    }
  }
};

/// Over the 16 lanes that share a row; the same value in each.
template <class Op>
__device__ float row_reduce(float value, Op op) {
  for (int step = kLanes / 2; step > 0; step /= 2) {
    value = op(value, __shfl_xor_sync(cuda::kAllLanes, value, step));
  }
  return value;
}

}  // namespace clausius::ops::attention_cuda
