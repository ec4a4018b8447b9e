// SPDX-License-Identifier: Apache-2.0
// The CUDA forward of attention on Hopper's tensor cores: bf16, D = E = 64 or 128, every mask, scale and sink.
#pragma once

#include <limits>

#include "core/ops/attention/attention_forward_mma.cuh"
#include "core/ops/attention/attention_wgmma.cuh"

namespace clausius::ops::attention_cuda {

/// Keys of a tile.
inline constexpr int kForwardKeys = 128;

template <int kD>
struct ForwardTiles {
  using Queries = cuda::PanelTile<kTurnRows, kD>;
  using Keys = cuda::PanelTile<kForwardKeys, kD>;
  bf16* memory;
  static constexpr int kSize = Queries::kSize + 6 * Keys::kSize;

  __device__ Queries q() const { return {memory}; }
  __device__ Keys k(int tile) const { return {memory + Queries::kSize + tile % 3 * Keys::kSize}; }
  __device__ Keys v(int tile) const {
    return {memory + Queries::kSize + (3 + tile % 3) * Keys::kSize};
  }
};

// Rows of q whose scale is negative change their sign, so that scales may be taken as positive.
template <class Tile>
__device__ void negate_queries(const Logits& logits,
                               const QueryBlock& at,
                               const Tile& q_tile,
                               unsigned pieces) {
  const auto count = static_cast<unsigned>(at.last - at.first) * pieces;
  for (unsigned n = threadIdx.x; n < count; n += blockDim.x) {
    const unsigned row = n / pieces;
    if (logits.scale_of(at.h, at.first + row) < 0) {
      auto* words = reinterpret_cast<unsigned*>(q_tile.data + Tile::at(row, n % pieces));
      CLS_UNROLL
      for (int word = 0; word < 4; ++word) {
        words[word] ^= 0x80008000U;
      }
    }
  }
}

// What a warpgroup holds of its 64 queries, and its turns (take_turns): scores q k, then p v.
template <int kD>
struct ForwardTurn {
  const ForwardArguments<bf16>& a;
  const QueryBlock& at;
  const KeySpan& keys;
  ForwardTiles<kD> shared;
  unsigned row;  // of the group in the block
  WarpRows rows;
  WarpTile<kForwardKeys / 8> scores = {};
  WarpTile<kD / 8> sums = {};
  cuda::FragmentA p[kForwardKeys / 16] = {};

  __device__ void fill(int tile) {
    const int key = keys.begin + tile * kForwardKeys;
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
    value_products(tile - 1);
    cuda::commit_products();
  }
  __device__ void begin_last(int tile) {
    open();
    value_products(tile - 1);
    cuda::commit_products();
  }
  __device__ void wait() {
    cuda::wait_products<0>();
    cuda::hold(scores.value);
    cuda::hold(sums.value);
  }
  __device__ void compute(int tile) {
    const int key = keys.begin + tile * kForwardKeys;
    float factors[2];
    if (keys.full(key, kForwardKeys)) {
      softmax_warp<false>(key, rows, scores, factors);
    } else {
      softmax_warp<true>(key, rows, scores, factors);
    }
    sums.scale_rows(factors);
    CLS_UNROLL
    for (int step = 0; step < kForwardKeys / 16; ++step) {
      p[step] = scores.left(step);
    }
  }

 private:
  __device__ void open() {
    cuda::hold(scores.value);
    cuda::hold(sums.value);
    cuda::begin_products();
  }
  __device__ void score_products(int tile) {
    CLS_UNROLL
    for (unsigned step = 0; step < kD / 16; ++step) {
      cuda::multiply(shared.q().from(row, 16 * step), shared.k(tile).from(0, 16 * step),
                     scores.value, step > 0);
    }
  }
  __device__ void value_products(int tile) {
    CLS_UNROLL
    for (unsigned step = 0; step < kForwardKeys / 16; ++step) {
      cuda::multiply<true>(p[step], shared.v(tile).from(16 * step, 0), sums.value, true);
    }
  }
};

// Grid: blocks of 128 queries x B x H. Shared memory: ForwardTiles.
template <int kD>
__global__ void __launch_bounds__(kTurnThreads, 1)
    attention_forward_wgmma_kernel(ForwardArguments<bf16> a) {
#ifdef CLS_WGMMA
  CLS_DYNAMIC_SHARED_1024(bf16, memory);
  const ForwardTiles<kD> shared{memory};
  const Sizes& n = a.sizes;
  const QueryBlock at(n, kTurnRows);
  const KeySpan keys(a.logits, at, n.T);
  const int tiles = tiles_of(keys.begin, keys.end, kForwardKeys);
  const int group = cuda::warpgroup();
  const unsigned warp_row = threadIdx.x / cuda::kWarp * kWarpRows;
  bool negative[2];
  ForwardTurn<kD> turn{
      .a = a,
      .at = at,
      .keys = keys,
      .shared = shared,
      .row = static_cast<unsigned>(group) * 64,
      .rows = start_warp_rows(a.logits, at.b, at.h, at.first + warp_row, n.T, negative)};
  if (group == 0) {
    shared.q().fill(a.q.at(at.b, at.h, at.first), a.q.row, at.last - at.first);
    cuda::commit_copies();
    if (tiles > 0) {
      turn.fill(0);
    }
  }
  if (a.logits.scales != nullptr || a.logits.scale < 0) {
    cuda::wait_copies<0>();
    __syncthreads();
    negate_queries(a.logits, at, shared.q(), kD / 8);
  }
  take_turns(group, tiles, turn);
  const float largest =
      cuda::block_reduce<cuda::Max>(finish_warp_rows<kD>(a, at, warp_row, turn.rows, turn.sums),
                                    -std::numeric_limits<float>::infinity());
  if (threadIdx.x == 0) {
    a.block_max[at.head * at.blocks + at.block] = largest;
  }
#endif
}

}  // namespace clausius::ops::attention_cuda
