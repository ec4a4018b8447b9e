// SPDX-License-Identifier: Apache-2.0
// The CUDA backward of attention on Hopper's tensor cores: bf16, D = E = 64 or 128, every mask, scale and sink.
#pragma once

#include "core/ops/attention/attention_backward_mma.cuh"
#include "core/ops/attention/attention_wgmma.cuh"

namespace clausius::ops::attention_cuda {

// Begins = of the warpgroup's 64 rows of `left` against the rows of `right`.
template <int kD, class Left, class Right, int kColumns>
__device__ void set_transposed(unsigned row,
                               const Left& left,
                               const Right& right,
                               WarpTile<kColumns>& sums) {
  CLS_UNROLL
  for (unsigned step = 0; step < kD / 16; ++step) {
    cuda::multiply(left.from(row, 16 * step), right.from(0, 16 * step), sums.value, step > 0);
  }
}
// Begins += of 64 rows by 16 kSteps against the rows of `right`.
template <int kSteps, class Right, int kColumns>
__device__ void add(const cuda::FragmentA (&left)[kSteps],
                    const Right& right,
                    WarpTile<kColumns>& sums) {
  CLS_UNROLL
  for (unsigned step = 0; step < kSteps; ++step) {
    cuda::multiply<true>(left[step], right.from(16 * step, 0), sums.value, true);
  }
}
template <int kSteps, int kColumns>
__device__ void pack(const WarpTile<kColumns>& tile, cuda::FragmentA (&left)[kSteps]) {
  CLS_UNROLL
  for (int step = 0; step < kSteps; ++step) {
    left[step] = tile.left(step);
  }
}
template <int kD, bool kScale>
struct QueryGradientTiles {
  static constexpr int kKeys = kD == 64 && !kScale ? 128 : 64;
  using Queries = cuda::PanelTile<kTurnRows, kD>;
  using Keys = cuda::PanelTile<kKeys, kD>;
  bf16* memory;
  static constexpr int kSize = 2 * Queries::kSize + 7 * Keys::kSize;

  __device__ Queries q() const { return {memory}; }
  __device__ Queries dy() const { return {memory + Queries::kSize}; }
  __device__ Keys k(int tile) const {
    return {memory + 2 * Queries::kSize + tile % 4 * Keys::kSize};
  }
  __device__ Keys v(int tile) const {
    return {memory + 2 * Queries::kSize + (4 + tile % 3) * Keys::kSize};
  }
};

// What a warpgroup holds of its 64 queries, and its turns (take_turns): scores q k and dy v, then their gradients times k.
template <int kD, bool kScale>
struct QueryGradientTurn {
  using Tiles = QueryGradientTiles<kD, kScale>;
  static constexpr int kKeys = Tiles::kKeys;
  const BackwardArguments<bf16>& a;
  const QueryBlock& at;
  const KeySpan& keys;
  Tiles shared;
  unsigned row;  // of the group in the block
  MmaRow rows[2];
  float dscale[2] = {};
  WarpTile<kD / 8> sums = {};
  WarpTile<kKeys / 8> scores = {};
  WarpTile<kKeys / 8> dp = {};
  cuda::FragmentA gradients[kKeys / 16] = {};

  __device__ void fill(int tile) {
    const int key = keys.begin + tile * kKeys;
    shared.k(tile).fill(a.k.at(at.b, at.g, key), a.k.row, keys.end - key);
    shared.v(tile).fill(a.v.at(at.b, at.g, key), a.v.row, keys.end - key);
    cuda::commit_copies();
  }
  __device__ void begin_scores(int tile) {
    open();
    score_products(tile);
    cuda::commit_products();
  }
  __device__ void begin(int tile) {
    open();
    score_products(tile);
    add(gradients, shared.k(tile - 1), sums);
    cuda::commit_products();
  }
  __device__ void begin_last(int tile) {
    open();
    add(gradients, shared.k(tile - 1), sums);
    cuda::commit_products();
  }
  __device__ void wait() {
    cuda::wait_products<0>();
    hold_sums();
  }
  __device__ void compute(int tile) {
    const int key = keys.begin + tile * kKeys;
    if (keys.full(key, kKeys)) {
      score_gradients<false, kScale>(key, rows, dp, scores, dscale);
    } else {
      score_gradients<true, kScale>(key, rows, dp, scores, dscale);
    }
    pack(scores, gradients);
  }

 private:
  __device__ void hold_sums() {
    cuda::hold(scores.value);
    cuda::hold(dp.value);
    cuda::hold(sums.value);
  }
  __device__ void open() {
    hold_sums();
    cuda::begin_products();
  }
  __device__ void score_products(int tile) {
    set_transposed<kD>(row, shared.q(), shared.k(tile), scores);
    set_transposed<kD>(row, shared.dy(), shared.v(tile), dp);
  }
};

// Grid: blocks of 128 queries x B x H. Shared memory: QueryGradientTiles.
template <int kD, bool kScale>
__global__ void __launch_bounds__(kTurnThreads, 1)
    attention_dq_wgmma_kernel(BackwardArguments<bf16> a) {
#ifdef CLS_WGMMA
  using Turn = QueryGradientTurn<kD, kScale>;
  CLS_DYNAMIC_SHARED_1024(bf16, memory);
  const QueryGradientTiles<kD, kScale> shared{memory};
  const Sizes& n = a.sizes;
  const QueryBlock at(n, kTurnRows);
  const KeySpan keys(a.logits, at, n.T);
  const int tiles = tiles_of(keys.begin, keys.end, Turn::kKeys);
  const int group = cuda::warpgroup();
  const std::int64_t own_row =
      at.first + threadIdx.x / cuda::kWarp * kWarpRows + threadIdx.x % cuda::kWarp / 4;
  Turn turn{
      .a = a,
      .at = at,
      .keys = keys,
      .shared = shared,
      .row = static_cast<unsigned>(group) * 64,
      .rows = {mma_row(a, at.b, at.h, own_row, n.T), mma_row(a, at.b, at.h, own_row + 8, n.T)}};
  if (group == 0 && tiles > 0) {
    shared.q().fill(a.q.at(at.b, at.h, at.first), a.q.row, at.last - at.first);
    shared.dy().fill(a.dy.at(at.b, at.h, at.first), a.dy.row, at.last - at.first);
    turn.fill(0);
  }
  take_turns(group, tiles, turn);
  store_query_gradients<kD, kScale>(a, at, own_row, turn.rows, turn.dscale, turn.sums);
#endif
}

template <int kD>
struct KeyGradientTiles {
  static constexpr int kQueries = 64;
  using Keys = cuda::PanelTile<kTurnRows, kD>;
  using Queries = cuda::PanelTile<kQueries, kD>;
  bf16* memory;
  static constexpr int kSize = 2 * Keys::kSize + 4 * Queries::kSize;

  __device__ Keys k() const { return {memory}; }
  __device__ Keys v() const { return {memory + Keys::kSize}; }
  __device__ Queries q(int tile) const {
    return {memory + 2 * Keys::kSize + tile % 2 * Queries::kSize};
  }
  __device__ Queries dy(int tile) const {
    return {memory + 2 * Keys::kSize + (2 + tile % 2) * Queries::kSize};
  }
};

// Grid: blocks of 128 keys x B x G. Shared memory: KeyGradientTiles. The sums of dk and dv leave no registers for turns: each
// warpgroup waits for its products.
template <int kD>
__global__ void __launch_bounds__(kTurnThreads, 1)
    attention_dkv_wgmma_kernel(BackwardArguments<bf16> a) {
#ifdef CLS_WGMMA
  using Tiles = KeyGradientTiles<kD>;
  constexpr int kQueries = Tiles::kQueries;
  CLS_DYNAMIC_SHARED_1024(bf16, memory);
  __shared__ MmaRow rows[2][kQueries];
  const Tiles shared{memory};
  const KeyBlock at(a.sizes, a.logits, kTurnRows);
  const QueryTiles<kQueries> queries(a.sizes, at);
  const auto group = static_cast<unsigned>(cuda::warpgroup());
  const int last_row = static_cast<int>(at.last_row);
  // Group 0 copies q, and reads what the rows need; group 1 copies dy.
  const auto fill = [&](int tile) {
    const int h = queries.head(tile);
    const int i = queries.row(tile);
    if (group == 0) {
      shared.q(tile).fill(a.q.at(at.b, h, i), a.q.row, last_row - i);
      if (threadIdx.x < kQueries) {
        rows[tile % 2][threadIdx.x] =
            mma_row(a, at.b, h, i + static_cast<int>(threadIdx.x), last_row);
      }
    } else {
      shared.dy(tile).fill(a.dy.at(at.b, h, i), a.dy.row, last_row - i);
    }
    cuda::commit_copies();
  };
  if (queries.count > 0) {
    if (group == 0) {
      shared.k().fill(a.k.at(at.b, at.g, at.first), a.k.row, at.last_key - at.first);
    } else {
      shared.v().fill(a.v.at(at.b, at.g, at.first), a.v.row, at.last_key - at.first);
    }
    fill(0);
  }
  const int first_key = static_cast<int>(at.first + 64 * group);
  const int own_key =
      static_cast<int>(at.first) +
      static_cast<int>(threadIdx.x / cuda::kWarp * kWarpRows + threadIdx.x % cuda::kWarp / 4);
  const int keys[2] = {own_key, own_key + 8};
  WarpTile<kD / 8> dk;
  WarpTile<kD / 8> dv;
  WarpTile<kQueries / 8> scores;
  WarpTile<kQueries / 8> dp;
  for (int tile = 0; tile < queries.count; ++tile) {
    cuda::wait_copies<0>();
    cuda::publish_to_products();
    __syncthreads();  // this tile is here, and the readers of the one before are done
    cuda::hold(scores.value);
    cuda::hold(dp.value);
    cuda::begin_products();
    set_transposed<kD>(64 * group, shared.k(), shared.q(tile), scores);
    set_transposed<kD>(64 * group, shared.v(), shared.dy(tile), dp);
    cuda::commit_products();
    if (tile + 1 < queries.count) {
      fill(tile + 1);
    }
    cuda::wait_products<0>();
    cuda::hold(scores.value);
    cuda::hold(dp.value);
    const MmaRow* own = rows[tile % 2];
    const bool full = queries.row(tile) + kQueries <= last_row &&
                      own[kQueries - 1].begin <= first_key && first_key + 64 <= own[0].end;
    if (full) {
      key_logits<false>(keys, own, scores);
    } else {
      key_logits<true>(keys, own, scores);
    }
    key_gradients(own, scores, dp);
    cuda::FragmentA p[kQueries / 16];
    cuda::FragmentA gradients[kQueries / 16];
    pack(scores, p);
    pack(dp, gradients);
    cuda::hold(dv.value);
    cuda::hold(dk.value);
    cuda::begin_products();
    add(p, shared.dy(tile), dv);
    add(gradients, shared.q(tile), dk);
    cuda::commit_products();
    cuda::wait_products<0>();
    cuda::hold(dv.value);
    cuda::hold(dk.value);
  }
  CLS_UNROLL
  for (int half = 0; half < 2; ++half) {
    if (keys[half] < a.sizes.S) {
      dk.store_row(half, 1.0F, a.dk.at(at.b, at.g, keys[half]), a.pairs);
      dv.store_row(half, 1.0F, a.dv.at(at.b, at.g, keys[half]), a.pairs);
    }
  }
#endif
}

}  // namespace clausius::ops::attention_cuda
