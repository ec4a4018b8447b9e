// SPDX-License-Identifier: Apache-2.0
// The CUDA backward of attention on tensor cores: bf16, D = E = 64 or 128, every mask, scale and sink.
#pragma once

#include "core/ops/attention/attention_mma.cuh"

namespace clausius::ops::attention_cuda {

// Blocks of four warps of 16 rows; what streams past them has two buffers, the next one being filled while one is used.
inline constexpr int kMmaThreads = 4 * cuda::kWarp;

// What one row of the gradient needs; zeros, seeing no key, past the last row.
struct alignas(16) MmaRow {
  float scale;     // of the product q k
  float lse;       // log2 units
  float dentropy;  // times ln 2: it multiplies log2 p
  float shift;     // <dy, y> - dlse + dentropy H
  int begin;
  int end;
};

__device__ inline MmaRow mma_row(const BackwardArguments<bf16>& a,
                                 std::int64_t b,
                                 std::int64_t h,
                                 std::int64_t i,
                                 std::int64_t end) {
  if (i >= end) {
    return {};
  }
  const Sizes& n = a.sizes;
  return {a.logits.scale_of(h, i),        a.lse.at(b, h, i) * kLog2E,
          a.dentropy.at(b, h, i) * kLn2,  a.shift[(b * n.H + h) * n.T + i],
          a.logits.begin_BT[b * n.T + i], a.logits.end_BT[b * n.T + i]};
}

// dq of a tile: scores become gradients of the scaled products, each an exponential, a product, a sum and two fused multiply-adds, one
// of them the entropy's.
template <bool kMasked, bool kScale, int kColumns>
__device__ void score_gradients(int first_key,
                                const MmaRow (&rows)[2],
                                const WarpTile<kColumns>& dp,
                                WarpTile<kColumns>& scores,
                                float (&dscale)[2]) {
  const int column = first_key + static_cast<int>(threadIdx.x) % 4 * 2;
  CLS_UNROLL
  for (int half = 0; half < 2; ++half) {
    const MmaRow& row = rows[half];
    const float scale = row.scale * kLog2E;
    CLS_UNROLL
    for (int n = 0; n < kColumns; ++n) {
      CLS_UNROLL
      for (int e = 0; e < 2; ++e) {
        const int key = column + 8 * n + e;
        const bool visible = !kMasked || (row.begin <= key && key < row.end);
        float& score = scores.value[n][2 * half + e];
        const float log2_p = fmaf(score, scale, -row.lse);
        const float p = cuda::fast_exp2(visible ? log2_p : kNothing);
        const float d = fmaf(-row.dentropy, log2_p, -row.shift) + dp.value[n][2 * half + e];
        const float gradient = visible ? p * d : 0.0F;
        if constexpr (kScale) {
          dscale[half] = fmaf(gradient, visible ? score : 0.0F, dscale[half]);
        }
        score = gradient;
      }
    }
  }
}

// Two buffers of rows of two tensors that stream past a block: one is filled while the other is used.
template <int kRows, int kD>
struct PairBuffers {
  using Tile = BfTile<kRows, kD>;
  bf16* data;

  __device__ Tile first(unsigned buffer) const { return {data + 2 * buffer * Tile::kSize}; }
  __device__ Tile second(unsigned buffer) const { return {data + (2 * buffer + 1) * Tile::kSize}; }
  // `count` rows of each, from row i on.
  __device__ void fill(unsigned buffer,
                       const HeadRows<const bf16>& one,
                       const HeadRows<const bf16>& two,
                       std::int64_t b,
                       std::int64_t h,
                       std::int64_t i,
                       std::int64_t count) const {
    first(buffer).template fill<kMmaThreads>(one.at(b, h, i), one.row, count);
    second(buffer).template fill<kMmaThreads>(two.at(b, h, i), two.row, count);
    cuda::commit_copies();
  }
};

// What a warp owns when all keys have passed.
template <int kD, bool kScale>
__device__ void store_query_gradients(const BackwardArguments<bf16>& a,
                                      const QueryBlock& at,
                                      std::int64_t own_row,
                                      const MmaRow (&rows)[2],
                                      const float (&dscale)[2],
                                      const WarpTile<kD / 8>& sums) {
  CLS_UNROLL
  for (int half = 0; half < 2; ++half) {
    const float sum = kScale ? quad_reduce(dscale[half], cuda::Add{}) : 0.0F;
    const std::int64_t i = own_row + 8 * half;
    if (i < a.sizes.T) {
      sums.store_row(half, rows[half].scale, a.dq.at(at.b, at.h, i), a.pairs);
      if (kScale && threadIdx.x % 4 == 0) {
        a.row_dscale[at.head * a.sizes.T + i] = sum * a.logits.scale;
      }
    }
  }
}

// Grid: blocks of 64 queries x B x H. Shared memory: q, dy, and two buffers of k and v.
template <int kD, bool kScale>
__global__ void __launch_bounds__(kMmaThreads, kD == 64 ? 3 : 2)
    attention_dq_mma_kernel(BackwardArguments<bf16> a) {
  using Tile = BfTile<kTile, kD>;
  CLS_DYNAMIC_SHARED(bf16, memory);
  const Tile q_tile{memory};
  const Tile dy_tile{memory + Tile::kSize};
  const PairBuffers<kTile, kD> buffers{memory + 2 * Tile::kSize};
  const Sizes& n = a.sizes;
  const QueryBlock at(n, kTile);
  const KeySpan keys(a.logits, at, n.T);
  int key = keys.begin;
  q_tile.template fill<kMmaThreads>(a.q.at(at.b, at.h, at.first), a.q.row, at.last - at.first);
  dy_tile.template fill<kMmaThreads>(a.dy.at(at.b, at.h, at.first), a.dy.row, at.last - at.first);
  buffers.fill(0, a.k, a.v, at.b, at.g, key, keys.end - key);
  const unsigned warp_row = threadIdx.x / cuda::kWarp * kWarpRows;
  const std::int64_t own_row = at.first + warp_row + threadIdx.x % cuda::kWarp / 4;
  const MmaRow rows[2] = {mma_row(a, at.b, at.h, own_row, n.T),
                          mma_row(a, at.b, at.h, own_row + 8, n.T)};
  float dscale[2] = {};
  WarpTile<kD / 8> sums;
  for (unsigned buffer = 0; key < keys.end; key += kTile, buffer ^= 1U) {
    cuda::wait_copies<0>();
    __syncthreads();  // this buffer is here, and the other one's readers are done
    if (key + kTile < keys.end) {
      buffers.fill(buffer ^ 1U, a.k, a.v, at.b, at.g, key + kTile, keys.end - key - kTile);
    }
    const Tile k_tile = buffers.first(buffer);
    const Tile v_tile = buffers.second(buffer);
    WarpTile<kTile / 8> scores;
    WarpTile<kTile / 8> dp;
    CLS_UNROLL
    for (unsigned step = 0; step < kD / 16; ++step) {
      scores.add_transposed(q_tile.left(warp_row, step), k_tile, step);
      dp.add_transposed(dy_tile.left(warp_row, step), v_tile, step);
    }
    if (keys.full(key)) {
      score_gradients<false, kScale>(key, rows, dp, scores, dscale);
    } else {
      score_gradients<true, kScale>(key, rows, dp, scores, dscale);
    }
    CLS_UNROLL
    for (unsigned step = 0; step < kTile / 16; ++step) {
      sums.add(scores.left(static_cast<int>(step)), k_tile, step);
    }
  }
  cuda::wait_copies<0>();
  store_query_gradients<kD, kScale>(a, at, own_row, rows, dscale, sums);
}

// Rows of the tile are keys and its columns queries: products q k become log2 p, far below any that counts where a key is not seen.
template <bool kMasked, int kColumns>
__device__ void key_logits(const int (&keys)[2], const MmaRow* rows, WarpTile<kColumns>& scores) {
  constexpr float kHidden =
      -1.0e4F;  // 2^-10000 is 0, and its products with finite numbers are finite
  CLS_UNROLL
  for (int n = 0; n < kColumns; ++n) {
    CLS_UNROLL
    for (int e = 0; e < 2; ++e) {
      const MmaRow& row = rows[8 * n + static_cast<int>(threadIdx.x) % 4 * 2 + e];
      const float scale = row.scale * kLog2E;
      CLS_UNROLL
      for (int half = 0; half < 2; ++half) {
        const bool visible = !kMasked || (row.begin <= keys[half] && keys[half] < row.end);
        float& score = scores.value[n][2 * half + e];
        score = visible ? fmaf(score, scale, -row.lse) : kHidden;
      }
    }
  }
}
// Of those, p in `scores`, and of the products dy v scaled gradients in `dp`.
template <int kColumns>
__device__ void key_gradients(const MmaRow* rows,
                              WarpTile<kColumns>& scores,
                              WarpTile<kColumns>& dp) {
  CLS_UNROLL
  for (int n = 0; n < kColumns; ++n) {
    CLS_UNROLL
    for (int e = 0; e < 2; ++e) {
      const MmaRow& row = rows[8 * n + static_cast<int>(threadIdx.x) % 4 * 2 + e];
      CLS_UNROLL
      for (int half = 0; half < 2; ++half) {
        float& score = scores.value[n][2 * half + e];
        float& gradient = dp.value[n][2 * half + e];
        const float log2_p = score;
        score = cuda::fast_exp2(log2_p);
        gradient = row.scale * score * (fmaf(-row.dentropy, log2_p, -row.shift) + gradient);
      }
    }
  }
}

// The tiles of queries that pass a block of keys: heads of the group and rows in order.
template <int kQueries>
struct QueryTiles {
  int first_head, first_row;
  int of_head;  // tiles of one head
  int count;

  __device__ QueryTiles(const Sizes& n, const KeyBlock& at) {
    const int heads = static_cast<int>(n.H / n.G);
    const int last_row = static_cast<int>(at.last_row);
    first_head = static_cast<int>(at.g) * heads;
    first_row = static_cast<int>(at.first_row) / kQueries * kQueries;
    of_head = at.first_row < at.last_row ? (last_row - first_row + kQueries - 1) / kQueries : 0;
    count = heads * of_head;
  }
  __device__ int head(int tile) const { return first_head + tile / of_head; }
  __device__ int row(int tile) const { return first_row + tile % of_head * kQueries; }
};

// Starts the copies of a tile, and reads what its rows need.
template <int kQueries, class Buffers>
__device__ void fill_queries(const BackwardArguments<bf16>& a,
                             const KeyBlock& at,
                             std::int64_t h,
                             std::int64_t row,
                             unsigned buffer,
                             const Buffers& queries,
                             MmaRow (&rows)[2][kQueries]) {
  queries.fill(buffer, a.q, a.dy, at.b, h, row, at.last_row - row);
  if (threadIdx.x < kQueries) {
    rows[buffer][threadIdx.x] = mma_row(a, at.b, h, row + threadIdx.x, at.last_row);
  }
}

// Grid: blocks of 64 keys x B x G. Shared memory: k, v, and two buffers of q and dy.
template <int kD>
__global__ void __launch_bounds__(kMmaThreads, 2)
    attention_dkv_mma_kernel(BackwardArguments<bf16> a) {
  constexpr int kQueries = kD == 64 ? 64 : 32;
  using Tile = BfTile<kTile, kD>;
  CLS_DYNAMIC_SHARED(bf16, memory);
  __shared__ MmaRow rows[2][kQueries];
  const Tile k_tile{memory};
  const Tile v_tile{memory + Tile::kSize};
  const PairBuffers<kQueries, kD> queries{memory + 2 * Tile::kSize};
  const KeyBlock at(a.sizes, a.logits);
  const QueryTiles<kQueries> tiles(a.sizes, at);
  k_tile.template fill<kMmaThreads>(a.k.at(at.b, at.g, at.first), a.k.row, at.last_key - at.first);
  v_tile.template fill<kMmaThreads>(a.v.at(at.b, at.g, at.first), a.v.row, at.last_key - at.first);
  if (tiles.count > 0) {
    fill_queries(a, at, tiles.head(0), tiles.row(0), 0, queries, rows);
  }
  const unsigned warp_row = threadIdx.x / cuda::kWarp * kWarpRows;
  const int first_key = static_cast<int>(at.first);
  const int own_key = first_key + static_cast<int>(warp_row + threadIdx.x % cuda::kWarp / 4);
  const int keys[2] = {own_key, own_key + 8};
  WarpTile<kD / 8> dk;
  WarpTile<kD / 8> dv;
  unsigned buffer = 0;
  for (int tile = 0; tile < tiles.count; ++tile, buffer ^= 1U) {
    cuda::wait_copies<0>();
    __syncthreads();  // this buffer is here, and the other one's readers are done
    if (tile + 1 < tiles.count) {
      fill_queries(a, at, tiles.head(tile + 1), tiles.row(tile + 1), buffer ^ 1U, queries, rows);
    }
    WarpTile<kQueries / 8> scores;
    WarpTile<kQueries / 8> dp;
    CLS_UNROLL
    for (unsigned step = 0; step < kD / 16; ++step) {
      scores.add_transposed(k_tile.left(warp_row, step), queries.first(buffer), step);
      dp.add_transposed(v_tile.left(warp_row, step), queries.second(buffer), step);
    }
    const std::int64_t row = tiles.row(tile);
    const bool full = row + kQueries <= at.last_row && at.begins[row + kQueries - 1] <= first_key &&
                      first_key + kTile <= at.ends[row];
    if (full) {
      key_logits<false>(keys, rows[buffer], scores);
    } else {
      key_logits<true>(keys, rows[buffer], scores);
    }
    key_gradients(rows[buffer], scores, dp);
    CLS_UNROLL
    for (unsigned step = 0; step < kQueries / 16; ++step) {
      dv.add(scores.left(static_cast<int>(step)), queries.second(buffer), step);
      dk.add(dp.left(static_cast<int>(step)), queries.first(buffer), step);
    }
  }
  cuda::wait_copies<0>();
  CLS_UNROLL
  for (int half = 0; half < 2; ++half) {
    if (keys[half] < a.sizes.S) {
      dk.store_row(half, 1.0F, a.dk.at(at.b, at.g, keys[half]), a.pairs);
      dv.store_row(half, 1.0F, a.dv.at(at.b, at.g, keys[half]), a.pairs);
    }
  }
}

}  // namespace clausius::ops::attention_cuda
