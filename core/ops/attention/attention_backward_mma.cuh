// SPDX-License-Identifier: Apache-2.0
// The CUDA backward of attention on tensor cores: bf16, D = E = 64 or 128, every mask, scale and sink.
#pragma once

#include "core/ops/attention/attention_mma.cuh"

namespace clausius::ops::attention_cuda {

// Blocks of four warps of 16 rows; what streams past them has two buffers, the next one being filled while one is used.
inline constexpr int kMmaThreads = 4 * cuda::kWarp;

// What one row of the gradient needs; zeros, seeing no key, past the last row.
struct MmaRow {
  float scale;     // of the product q k
  float lse;       // log2 units
  float shift;     // <dy, y> - dlse + dentropy H
  float dentropy;  // times ln 2: it multiplies log2 p
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
  return {a.logits.scale_of(h, i),          a.lse.at(b, h, i) * kLog2E,
          a.shift[(b * n.H + h) * n.T + i], a.dentropy.at(b, h, i) * kLn2,
          a.logits.begin_BT[b * n.T + i],   a.logits.end_BT[b * n.T + i]};
}

// dq of a tile: scores become gradients of the scaled products. `dp` started at -shift, so that the gradient is an exponential, a
// product and two fused multiply-adds, one of them the entropy's.
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
        const float gradient =
            cuda::fast_exp2(log2_p) * fmaf(-row.dentropy, log2_p, dp.value[n][2 * half + e]);
        if constexpr (kScale) {
          dscale[half] = visible ? fmaf(gradient, score, dscale[half]) : dscale[half];
        }
        score = visible ? gradient : 0.0F;
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
  bf16* buffers = memory + 2 * Tile::kSize;
  const Sizes& n = a.sizes;
  const QueryBlock at(n, kTile);
  const std::int32_t* begins = a.logits.begin_BT + at.b * n.T;
  const std::int32_t* ends = a.logits.end_BT + at.b * n.T;
  const int last_key = ends[at.last - 1];
  const int full_begin = begins[at.last - 1];
  const int full_end = ends[at.first];
  int key = begins[at.first] / kTile * kTile;
  const auto fill_keys = [&](int first, unsigned buffer) {
    const Tile k_tile{buffers + 2 * buffer * Tile::kSize};
    const Tile v_tile{buffers + (2 * buffer + 1) * Tile::kSize};
    k_tile.template fill<kMmaThreads>(a.k.at(at.b, at.g, first), a.k.row, last_key - first);
    v_tile.template fill<kMmaThreads>(a.v.at(at.b, at.g, first), a.v.row, last_key - first);
    cuda::commit_copies();
  };
  q_tile.template fill<kMmaThreads>(a.q.at(at.b, at.h, at.first), a.q.row, at.last - at.first);
  dy_tile.template fill<kMmaThreads>(a.dy.at(at.b, at.h, at.first), a.dy.row, at.last - at.first);
  fill_keys(key, 0);
  const unsigned warp_row = threadIdx.x / cuda::kWarp * kWarpRows;
  const std::int64_t own_row = at.first + warp_row + threadIdx.x % cuda::kWarp / 4;
  const MmaRow rows[2] = {mma_row(a, at.b, at.h, own_row, n.T),
                          mma_row(a, at.b, at.h, own_row + 8, n.T)};
  float dscale[2] = {};
  WarpTile<kD / 8> sums;
  for (unsigned buffer = 0; key < last_key; key += kTile, buffer ^= 1U) {
    cuda::wait_copies<0>();
    __syncthreads();  // this buffer is here, and the other one's readers are done
    if (key + kTile < last_key) {
      fill_keys(key + kTile, buffer ^ 1U);
    }
    const Tile k_tile{buffers + 2 * buffer * Tile::kSize};
    const Tile v_tile{buffers + (2 * buffer + 1) * Tile::kSize};
    WarpTile<kTile / 8> scores;
    WarpTile<kTile / 8> dp;
    CLS_UNROLL
    for (int column = 0; column < kTile / 8; ++column) {
      CLS_UNROLL
      for (int e = 0; e < 4; ++e) {
        dp.value[column][e] = -rows[e / 2].shift;
      }
    }
    CLS_UNROLL
    for (unsigned step = 0; step < kD / 16; ++step) {
      scores.add_transposed(q_tile.left(warp_row, step), k_tile, step);
      dp.add_transposed(dy_tile.left(warp_row, step), v_tile, step);
    }
    if (full_begin <= key && key + kTile <= full_end) {
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
  CLS_UNROLL
  for (int half = 0; half < 2; ++half) {
    const float sum = kScale ? quad_reduce(dscale[half], cuda::Add{}) : 0.0F;
    const std::int64_t i = own_row + 8 * half;
    if (i < n.T) {
      sums.store_row(half, rows[half].scale, a.dq.at(at.b, at.h, i), a.pairs);
      if (kScale && threadIdx.x % 4 == 0) {
        a.row_dscale[at.head * n.T + i] = sum * a.logits.scale;
      }
    }
  }
}

// Rows of the tile are keys and its columns queries: products q k become p in `scores` and scaled gradients in `dp`, which started at
// -shift.
template <bool kMasked, int kColumns>
__device__ void key_gradients(const int (&keys)[2],
                              const MmaRow* rows,
                              WarpTile<kColumns>& scores,
                              WarpTile<kColumns>& dp) {
  CLS_UNROLL
  for (int n = 0; n < kColumns; ++n) {
    CLS_UNROLL
    for (int e = 0; e < 2; ++e) {
      const MmaRow row = rows[8 * n + static_cast<int>(threadIdx.x) % 4 * 2 + e];
      const float scale = row.scale * kLog2E;
      CLS_UNROLL
      CLS_UNROLL
      for (int half = 0; half < 2; ++half) {
        const bool visible = !kMasked || (row.begin <= keys[half] && keys[half] < row.end);
        float& score = scores.value[n][2 * half + e];
        float& gradient = dp.value[n][2 * half + e];
        const float log2_p = fmaf(score, scale, -row.lse);
        const float p = visible ? cuda::fast_exp2(log2_p) : 0.0F;
        gradient = visible ? row.scale * p * fmaf(-row.dentropy, log2_p, gradient) : 0.0F;
        score = p;
      }
    }
  }
}

// Grid: blocks of 64 keys x B x G; heads of the group and blocks of queries pass in order. Shared memory: k, v, and two buffers of q
// and dy.
template <int kD>
__global__ void __launch_bounds__(kMmaThreads, 2)
    attention_dkv_mma_kernel(BackwardArguments<bf16> a) {
  constexpr int kQueries = kD == 64 ? 64 : 32;
  using Tile = BfTile<kTile, kD>;
  using Queries = BfTile<kQueries, kD>;
  CLS_DYNAMIC_SHARED(bf16, memory);
  __shared__ MmaRow rows[2][kQueries];
  const Tile k_tile{memory};
  const Tile v_tile{memory + Tile::kSize};
  bf16* buffers = memory + 2 * Tile::kSize;
  const Sizes& n = a.sizes;
  const std::int64_t groups = n.B * n.G;
  const std::int64_t heads_per_group = n.H / n.G;
  const int first_key = static_cast<int>(static_cast<std::int64_t>(blockIdx.x) / groups) * kTile;
  const std::int64_t b = static_cast<std::int64_t>(blockIdx.x) % groups / n.G;
  const std::int64_t g = static_cast<std::int64_t>(blockIdx.x) % groups % n.G;
  const std::int32_t* begins = a.logits.begin_BT + b * n.T;
  const std::int32_t* ends = a.logits.end_BT + b * n.T;
  // Rows [first_row, last_row) may see a key of this block; keys past every end may be memory nobody wrote.
  const std::int64_t first_row = first_at_least(ends, n.T, first_key + 1) / kQueries * kQueries;
  const std::int64_t last_row = first_at_least(begins, n.T, first_key + kTile);
  const std::int64_t tiles =
      first_row < last_row ? (last_row - first_row + kQueries - 1) / kQueries : 0;
  const std::int64_t last_key = tiles > 0 ? ends[n.T - 1] : first_key;
  const auto fill_queries = [&](std::int64_t tile, unsigned buffer) {
    const std::int64_t h = g * heads_per_group + tile / tiles;
    const std::int64_t row = first_row + tile % tiles * kQueries;
    const Queries q_tile{buffers + 2 * buffer * Queries::kSize};
    const Queries dy_tile{buffers + (2 * buffer + 1) * Queries::kSize};
    q_tile.template fill<kMmaThreads>(a.q.at(b, h, row), a.q.row, last_row - row);
    dy_tile.template fill<kMmaThreads>(a.dy.at(b, h, row), a.dy.row, last_row - row);
    cuda::commit_copies();
    if (threadIdx.x < kQueries) {
      rows[buffer][threadIdx.x] = mma_row(a, b, h, row + threadIdx.x, last_row);
    }
  };
  k_tile.template fill<kMmaThreads>(a.k.at(b, g, first_key), a.k.row, last_key - first_key);
  v_tile.template fill<kMmaThreads>(a.v.at(b, g, first_key), a.v.row, last_key - first_key);
  if (tiles > 0) {
    fill_queries(0, 0);
  }
  const unsigned warp_row = threadIdx.x / cuda::kWarp * kWarpRows;
  const int own_key = first_key + static_cast<int>(warp_row + threadIdx.x % cuda::kWarp / 4);
  const int keys[2] = {own_key, own_key + 8};
  WarpTile<kD / 8> dk;
  WarpTile<kD / 8> dv;
  unsigned buffer = 0;
  for (std::int64_t tile = 0; tile < heads_per_group * tiles; ++tile, buffer ^= 1U) {
    cuda::wait_copies<0>();
    __syncthreads();  // this buffer is here, and the other one's readers are done
    if (tile + 1 < heads_per_group * tiles) {
      fill_queries(tile + 1, buffer ^ 1U);
    }
    const Queries q_tile{buffers + 2 * buffer * Queries::kSize};
    const Queries dy_tile{buffers + (2 * buffer + 1) * Queries::kSize};
    WarpTile<kQueries / 8> scores;
    WarpTile<kQueries / 8> dp;
    CLS_UNROLL
    for (int column = 0; column < kQueries / 8; ++column) {
      CLS_UNROLL
      for (int e = 0; e < 4; ++e) {
        dp.value[column][e] =
            -rows[buffer][8 * column + static_cast<int>(threadIdx.x) % 4 * 2 + e % 2].shift;
      }
    }
    CLS_UNROLL
    for (unsigned step = 0; step < kD / 16; ++step) {
      scores.add_transposed(k_tile.left(warp_row, step), q_tile, step);
      dp.add_transposed(v_tile.left(warp_row, step), dy_tile, step);
    }
    const std::int64_t row = first_row + tile % tiles * kQueries;
    const bool full = row + kQueries <= last_row && begins[row + kQueries - 1] <= first_key &&
                      first_key + kTile <= ends[row];
    if (full) {
      key_gradients<false>(keys, rows[buffer], scores, dp);
    } else {
      key_gradients<true>(keys, rows[buffer], scores, dp);
    }
    CLS_UNROLL
    for (unsigned step = 0; step < kQueries / 16; ++step) {
      dv.add(scores.left(static_cast<int>(step)), dy_tile, step);
      dk.add(dp.left(static_cast<int>(step)), q_tile, step);
    }
  }
  cuda::wait_copies<0>();
  CLS_UNROLL
  for (int half = 0; half < 2; ++half) {
    if (keys[half] < n.S) {
      dk.store_row(half, 1.0F, a.dk.at(b, g, keys[half]), a.pairs);
      dv.store_row(half, 1.0F, a.dv.at(b, g, keys[half]), a.pairs);
    }
  }
}

}  // namespace clausius::ops::attention_cuda
