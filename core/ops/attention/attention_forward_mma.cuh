// SPDX-License-Identifier: Apache-2.0
// The CUDA forward of attention on tensor cores: bf16, D = E = 64 or 128, every mask, scale and sink.
#pragma once

#include <limits>

#include "core/ops/attention/attention_mma.cuh"

namespace clausius::ops::attention_cuda {

// A warp owns 16 rows; a lane holds two of them (half 0 and 1) with three lanes more, each its own columns of every tile. A score
// costs a maximum, a fused multiply-add for s' - max, an exponential, an addition to the sum, and for the entropy one fused
// multiply-add more.
struct WarpRows {
  float scale[2];     // |scale| in log2 units; its sign is in q
  float max[2];       // reference of the exponentials, log2 units
  float sum[2];       // of p, own columns
  float weighted[2];  // of p (s' - max), own columns
  float top[2];       // largest product q k seen, in the sign of q
  int begin[2];
  int end[2];
};

// Products become exponentials; `factor` is what older sums of each half are worth beside them.
template <bool kMasked, int kColumns>
__device__ void softmax_warp(int first_key,
                             WarpRows& rows,
                             WarpTile<kColumns>& scores,
                             float (&factors)[2]) {
  const int column = first_key + static_cast<int>(threadIdx.x) % 4 * 2;
  CLS_UNROLL
  for (int half = 0; half < 2; ++half) {
    const auto visible = [&](int n, int e) {
      const int key = column + 8 * n + e;
      return !kMasked || (rows.begin[half] <= key && key < rows.end[half]);
    };
    float top = kNothing;
    CLS_UNROLL
    for (int n = 0; n < kColumns; ++n) {
      CLS_UNROLL
      for (int e = 0; e < 2; ++e) {
        top = visible(n, e) ? fmaxf(top, scores.value[n][2 * half + e]) : top;
      }
    }
    top = quad_reduce(top, [](float x, float y) { return fmaxf(x, y); });
    rows.top[half] = fmaxf(rows.top[half], top);
    const float max = fmaxf(rows.max[half], top * rows.scale[half]);
    const float rise = max - rows.max[half];
    const float factor = cuda::fast_exp2(-rise);
    factors[half] = factor;
    rows.max[half] = max;
    float weighted = factor * fmaf(-rise, rows.sum[half], rows.weighted[half]);
    float sum = factor * rows.sum[half];
    CLS_UNROLL
    for (int n = 0; n < kColumns; ++n) {
      CLS_UNROLL
      for (int e = 0; e < 2; ++e) {
        float& score = scores.value[n][2 * half + e];
        const float t = fmaf(score, rows.scale[half], -max);
        const float p = visible(n, e) ? cuda::fast_exp2(t) : 0.0F;
        sum += p;
        weighted = visible(n, e) ? fmaf(p, t, weighted) : weighted;
        score = p;
      }
    }
    rows.sum[half] = sum;
    rows.weighted[half] = weighted;
  }
}

__device__ inline WarpRows start_warp_rows(const Logits& logits,
                                           std::int64_t b,
                                           std::int64_t h,
                                           std::int64_t first,
                                           std::int64_t T,
                                           bool (&negative)[2]) {
  WarpRows rows;
  const int lane = static_cast<int>(threadIdx.x) % cuda::kWarp;
  CLS_UNROLL
  for (int half = 0; half < 2; ++half) {
    const std::int64_t i = first + lane / 4 + 8 * half;
    const float scale = i < T ? logits.scale_of(h, i) : 0.0F;
    negative[half] = scale < 0;
    rows.scale[half] = fabsf(scale) * kLog2E;
    rows.begin[half] = i < T ? logits.begin_BT[b * T + i] : 0;
    rows.end[half] = i < T ? logits.end_BT[b * T + i] : 0;
    rows.max[half] = logits.sinks != nullptr ? logits.sink_of(h) * kLog2E : kNothing;
    rows.sum[half] = logits.sinks != nullptr && lane % 4 == 0 ? 1.0F : 0.0F;
    rows.weighted[half] = 0;
    rows.top[half] = kNothing;
  }
  return rows;
}

// A warp's rows of q, in the sign of their scale.
template <class Tile, int kSteps>
__device__ void load_queries(const Tile& q_tile,
                             unsigned warp_row,
                             const bool (&negative)[2],
                             cuda::FragmentA (&q)[kSteps]) {
  CLS_UNROLL
  for (unsigned step = 0; step < kSteps; ++step) {
    q[step] = q_tile.left(warp_row, step);
    negate_rows(q[step], negative[0], negative[1]);
  }
}

// y and the statistics of a warp's rows when all keys have passed; the largest s that this lane saw.
template <int kD>
__device__ float finish_warp_rows(const ForwardArguments<bf16>& a,
                                  const QueryBlock& at,
                                  unsigned warp_row,
                                  const WarpRows& rows,
                                  const WarpTile<kD / 8>& sums) {
  float largest = -std::numeric_limits<float>::infinity();
  CLS_UNROLL
  for (int half = 0; half < 2; ++half) {
    const float sum = quad_reduce(rows.sum[half], cuda::Add{});
    const float weighted = quad_reduce(rows.weighted[half], cuda::Add{});
    const bool seen = sum != 0;
    const float inverse = seen ? 1 / sum : 0.0F;
    const std::int64_t i = at.first + warp_row + threadIdx.x % cuda::kWarp / 4 + 8 * half;
    if (i >= a.sizes.T) {
      continue;
    }
    sums.store_row(half, inverse, a.y.at(at.b, at.h, i), true);
    if (rows.top[half] > kNothing) {
      largest = fmaxf(largest, rows.top[half] * rows.scale[half] * kLn2);
    }
    if (threadIdx.x % 4 == 0) {
      const int choices = rows.end[half] - rows.begin[half] + (a.logits.sinks != nullptr ? 1 : 0);
      write_statistics(a, at.head * a.sizes.T + i, choices, rows.max[half], sum, weighted);
    }
  }
  return largest;
}

// Grid: query blocks x B x H. kWarps warps of 16 rows, 64 keys at a time, K and V in one buffer each: V comes while q k is computed,
// the next K while p v is.
template <int kD, int kWarps>
__global__ void __launch_bounds__(kWarps * 32, kD == 64 ? 12 / kWarps : 8 / kWarps)
    attention_forward_mma_kernel(ForwardArguments<bf16> a) {
  constexpr int kRows = kWarps * kWarpRows;
  constexpr int kBlockThreads = kWarps * cuda::kWarp;
  CLS_DYNAMIC_SHARED(bf16, memory);
  const BfTile<kTile, kD> k_tile{memory};
  const BfTile<kTile, kD> v_tile{memory + k_tile.kSize};
  const BfTile<kRows, kD> q_tile{memory + 2 * k_tile.kSize};
  const Sizes& n = a.sizes;
  const QueryBlock at(n, kRows);
  const KeySpan keys(a.logits, at, n.T);
  int key = keys.begin;
  q_tile.template fill<kBlockThreads>(a.q.at(at.b, at.h, at.first), a.q.row, at.last - at.first);
  cuda::commit_copies();
  k_tile.template fill<kBlockThreads>(a.k.at(at.b, at.g, key), a.k.row, keys.end - key);
  cuda::commit_copies();
  const unsigned warp_row = threadIdx.x / cuda::kWarp * kWarpRows;
  bool negative[2];
  WarpRows rows = start_warp_rows(a.logits, at.b, at.h, at.first + warp_row, n.T, negative);
  cuda::wait_copies<1>();
  __syncthreads();
  cuda::FragmentA q[kD / 16];
  load_queries(q_tile, warp_row, negative, q);
  WarpTile<kD / 8> sums;
  for (; key < keys.end; key += kTile) {
    cuda::wait_copies<0>();
    __syncthreads();  // K is here, and V's readers are done
    v_tile.template fill<kBlockThreads>(a.v.at(at.b, at.g, key), a.v.row, keys.end - key);
    cuda::commit_copies();
    WarpTile<kTile / 8> scores;
    CLS_UNROLL
    for (unsigned step = 0; step < kD / 16; ++step) {
      scores.add_transposed(q[step], k_tile, step);
    }
    cuda::wait_copies<0>();
    __syncthreads();  // V is here, and K's readers are done
    if (key + kTile < keys.end) {
      k_tile.template fill<kBlockThreads>(a.k.at(at.b, at.g, key + kTile), a.k.row,
                                          keys.end - key - kTile);
      cuda::commit_copies();
    }
    float factors[2];
    if (keys.full(key)) {
      softmax_warp<false>(key, rows, scores, factors);
    } else {
      softmax_warp<true>(key, rows, scores, factors);
    }
    sums.scale_rows(factors);
    CLS_UNROLL
    for (unsigned step = 0; step < kTile / 16; ++step) {
      sums.add(scores.left(step), v_tile, step);
    }
  }
  cuda::wait_copies<0>();
  const float largest = cuda::block_reduce<cuda::Max>(
      finish_warp_rows<kD>(a, at, warp_row, rows, sums), -std::numeric_limits<float>::infinity());
  if (threadIdx.x == 0) {
    a.block_max[at.head * at.blocks + at.block] = largest;
  }
}

}  // namespace clausius::ops::attention_cuda
