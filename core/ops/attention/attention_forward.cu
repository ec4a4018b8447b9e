// SPDX-License-Identifier: Apache-2.0
// The CUDA forward of attention, any sizes and options: f32 arithmetic on tiles of 64 queries by 64 keys.
#include <limits>

#include "core/cuda/context.h"
#include "core/ops/attention/attention_device.cuh"
#include "core/ops/attention/attention_forward_mma.cuh"
#include "core/ops/attention/attention_forward_wgmma.cuh"

namespace clausius::ops {
namespace {

using namespace attention_cuda;

// Blocks of 64 queries: several on a multiprocessor hide each other's waits.
constexpr int kMmaWarps = 4;

// The statistics of a thread's rows. Sums are those of its own columns: they are added over the row's lanes at the end.
struct RunningRows {
  float max[kOwnRows];       // reference of the exponentials, log2 units
  float sum[kOwnRows];       // of p = 2^(s' - max)
  float weighted[kOwnRows];  // of p (s' - max)
  float largest;             // visible s of any row
};

// Scores of one tile become probabilities.
template <class T, int kChunks>
__device__ void softmax_tile(const ForwardArguments<T>& a,
                             std::int64_t b,
                             std::int64_t h,
                             std::int64_t first_row,
                             std::int64_t first_key,
                             const int (&begin)[kTile],
                             const int (&end)[kTile],
                             const float (&scale)[kTile],
                             ScoreTile& scores,
                             RunningRows& running,
                             Sums64<kChunks>& sums) {
  const int ty = static_cast<int>(threadIdx.x) / kLanes;
  const auto key =
      static_cast<int>(first_key) + static_cast<int>(threadIdx.x) % kLanes * kOwnColumns;
  CLS_UNROLL
  for (int i = 0; i < kOwnRows; ++i) {
    const int r = ty * kOwnRows + i;
    bool visible[kOwnColumns];
    float top = kNothing;
    CLS_UNROLL
    for (int j = 0; j < kOwnColumns; ++j) {
      visible[j] = begin[r] <= key + j && key + j < end[r];
      const float s = scores[i][j] * scale[r];
      float slope = 0;
      scores[i][j] = a.logits.capped(s, slope);
      if (visible[j]) {
        top = fmaxf(top, scores[i][j]);
        running.largest = fmaxf(running.largest, s);
      }
    }
    const float before = running.max[i];
    const float max = fmaxf(before, row_reduce(top, [](float x, float y) { return fmaxf(x, y); }));
    const float rise = max - before;
    const float factor = exp2f(-rise);
    running.max[i] = max;
    running.weighted[i] = factor * fmaf(-rise, running.sum[i], running.weighted[i]);
    running.sum[i] *= factor;
    sums.scale_row(i, factor);
    Words words{};
    if (a.dropout.active) {
      words = a.dropout.words(b, h, first_row + r, key);
    }
    CLS_UNROLL
    for (int j = 0; j < kOwnColumns; ++j) {
      const float t = scores[i][j] - max;
      const float p = visible[j] ? exp2f(t) : 0.0F;
      running.sum[i] += p;
      running.weighted[i] = visible[j] ? fmaf(p, t, running.weighted[i]) : running.weighted[i];
      scores[i][j] = a.dropout.active ? p * a.dropout.factor(words.value[j]) : p;
    }
  }
}

// What is left of the rows when all keys have passed; inverse[i] of the sum.
template <class T>
__device__ void finish_rows(const ForwardArguments<T>& a,
                            std::int64_t first_of_head,
                            int count,
                            bool writes,
                            const int (&begin)[kTile],
                            const int (&end)[kTile],
                            const RunningRows& running,
                            float (&inverse)[kOwnRows]) {
  const int ty = static_cast<int>(threadIdx.x) / kLanes;
  const int tx = static_cast<int>(threadIdx.x) % kLanes;
  CLS_UNROLL
  for (int i = 0; i < kOwnRows; ++i) {
    const int r = ty * kOwnRows + i;
    const float sum = row_reduce(running.sum[i], cuda::Add{});
    const float weighted = row_reduce(running.weighted[i], cuda::Add{});
    inverse[i] = sum != 0 ? 1 / sum : 0.0F;
    if (writes && tx == 0 && r < count) {
      const int choices = end[r] - begin[r] + (a.logits.sinks != nullptr ? 1 : 0);
      write_statistics(a, first_of_head + r, choices, running.max[i], sum, weighted);
    }
  }
}

// Grid: (query blocks x B x H, parts of E). Shared memory: 35 KiB, so several blocks fit a multiprocessor.
template <class T, int kChunks>
__global__ void __launch_bounds__(kThreads, 2) attention_forward_kernel(ForwardArguments<T> a) {
  CLS_DYNAMIC_SHARED(float, memory);
  __shared__ int begin[kTile];
  __shared__ int end[kTile];
  __shared__ float scale[kTile];
  const SharedTiles shared = shared_tiles(memory);
  const Sizes& n = a.sizes;
  const QueryBlock at(n, kTile);
  const int count = static_cast<int>(at.last - at.first);
  if (threadIdx.x < kTile) {
    const auto r = static_cast<int>(threadIdx.x);
    const std::int64_t i = at.first + r;
    begin[r] = r < count ? a.logits.begin_BT[at.b * n.T + i] : 0;
    end[r] = r < count ? a.logits.end_BT[at.b * n.T + i] : 0;
    scale[r] = r < count ? a.logits.scale_of(at.h, i) : 0.0F;
  }
  RunningRows running;
  const bool holds_sink = a.logits.sinks != nullptr && threadIdx.x % kLanes == 0;
  for (int i = 0; i < kOwnRows; ++i) {
    running.max[i] = a.logits.sinks != nullptr ? a.logits.sink_of(at.h) * kLog2E : kNothing;
    running.sum[i] = holds_sink ? 1.0F : 0.0F;
    running.weighted[i] = 0;
  }
  running.largest = -std::numeric_limits<float>::infinity();
  __syncthreads();
  const std::int64_t last_key = end[count - 1];
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * kChunks * kChunk;
  Sums64<kChunks> sums;
  for (std::int64_t key = begin[0] / kTile * kTile; key < last_key; key += kTile) {
    ScoreTile scores;
    multiply_rows(tile_rows(a.q, at.b, at.h, at.first, n.T),
                  tile_rows(a.k, at.b, at.g, key, last_key), n.D, shared, scores);
    softmax_tile(a, at.b, at.h, at.first, key, begin, end, scale, scores, running, sums);
    store_tile(scores, shared);
    sums.add(tile_rows(a.v, at.b, at.g, key, last_key), column, n.E, shared);
  }
  float inverse[kOwnRows];
  const bool writes = blockIdx.y == 0;
  finish_rows(a, at.head * n.T + at.first, count, writes, begin, end, running, inverse);
  sums.store(a.y.at(at.b, at.h, at.first), a.y.row, count, column, n.E, inverse);
  const float largest =
      cuda::block_reduce<cuda::Max>(running.largest, -std::numeric_limits<float>::infinity());
  if (writes && threadIdx.x == 0) {
    a.block_max[at.head * at.blocks + at.block] = largest;
  }
}

// One thread a head: blocks are few.
__global__ void attention_max_logit_kernel(std::int64_t heads,
                                           std::int64_t blocks,
                                           const float* block_max,
                                           float* max_logit) {
  for (std::int64_t head = cuda::global_index(); head < heads; head += cuda::global_threads()) {
    float largest = block_max[head * blocks];
    for (std::int64_t block = 1; block < blocks; ++block) {
      largest = fmaxf(largest, block_max[head * blocks + block]);
    }
    max_logit[head] = largest;
  }
}

template <class T>
void run_general(const ForwardArguments<T>& a, const AttentionProblem& p) {
  const int chunks = p.E <= kChunk ? 1 : 2;
  const std::int64_t blocks = p.B * p.H * div_ceil<std::int64_t>(p.T, kTile);
  cuda::launch(chunks == 1 ? attention_forward_kernel<T, 1> : attention_forward_kernel<T, 2>,
               {.grid = dim3(narrow<unsigned>(blocks),
                             narrow<unsigned>(div_ceil<std::int64_t>(p.E, chunks * kChunk))),
                .block = dim3(kThreads),
                .shared_bytes = kSharedFloats * sizeof(float)},
               a);
}

template <int kD, int kWarps>
void run_mma(const ForwardArguments<bf16>& a, const AttentionProblem& p) {
  const std::int64_t blocks = p.B * p.H * div_ceil<std::int64_t>(p.T, kWarps * kWarpRows);
  cuda::launch(attention_forward_mma_kernel<kD, kWarps>,
               {.grid = dim3(narrow<unsigned>(blocks)),
                .block = dim3(kWarps * cuda::kWarp),
                .shared_bytes = (2 * kTile + kWarps * kWarpRows) * kD * sizeof(bf16)},
               a);
}

template <int kD>
void run_wgmma(const ForwardArguments<bf16>& a, const AttentionProblem& p) {
  const std::int64_t blocks = p.B * p.H * div_ceil<std::int64_t>(p.T, kTurnRows);
  cuda::launch(attention_forward_wgmma_kernel<kD>,
               {.grid = dim3(narrow<unsigned>(blocks)),
                .block = dim3(kTurnThreads),
                .shared_bytes = ForwardTiles<kD>::kSize * sizeof(bf16)},
               a);
}

template <class T>
void attention_forward_cuda(const Tensor& q,
                            const Tensor& k,
                            const Tensor& v,
                            const Tensor& scale,
                            const Tensor& sink,
                            const AttentionProblem& problem,
                            Tensor& y,
                            Tensor& entropy,
                            Tensor& lse,
                            Tensor& max_logit) {
  const std::int64_t heads = problem.B * problem.H;
  if (heads * problem.T == 0) {
    return max_logit.fill(-std::numeric_limits<double>::infinity());
  }
  ForwardArguments<T> a{.q = HeadRows<const T>(q, 1),
                        .k = HeadRows<const T>(k, 1),
                        .v = HeadRows<const T>(v, 1),
                        .logits = Logits(scale, sink, problem),
                        .dropout = Dropout(problem),
                        .sizes = Sizes(problem, sizeof(T)),
                        .y = HeadRows<T>(y, 2),
                        .entropy = entropy.data<float>(),
                        .lse = lse.data<float>(),
                        .block_max = nullptr};
  const bool tensor_cores = q.dtype() == Dtype::kBf16 && for_tensor_cores(problem);
  const bool warpgroups = tensor_cores && cuda::has_warpgroup_products();
  const std::int64_t rows = warpgroups ? kTurnRows : tensor_cores ? kMmaWarps * kWarpRows : kTile;
  const std::int64_t blocks = div_ceil(problem.T, rows);
  Tensor block_max = Tensor::empty({problem.B, problem.H, blocks}, Dtype::kF32, q.device());
  a.block_max = block_max.data<float>();
  if constexpr (std::is_same_v<T, bf16>) {
    if (tensor_cores) {
      const Tensor aligned[] = {with_vectors(q, 1), with_vectors(k, 1), with_vectors(v, 1)};
      a.q = HeadRows<const T>(aligned[0], 1);
      a.k = HeadRows<const T>(aligned[1], 1);
      a.v = HeadRows<const T>(aligned[2], 1);
      if (warpgroups) {
        problem.D == 64 ? run_wgmma<64>(a, problem) : run_wgmma<128>(a, problem);
      } else {
        problem.D == 64 ? run_mma<64, kMmaWarps>(a, problem) : run_mma<128, kMmaWarps>(a, problem);
      }
    }
  }
  if (!tensor_cores) {
    run_general(a, problem);
  }
  cuda::launch(attention_max_logit_kernel, cuda::grid_over(heads), heads, blocks,
               block_max.data<float>(), max_logit.data<float>());
}

}  // namespace

CLS_KERNEL(attention_forward, kCuda, kF32, attention_forward_cuda<float>);
CLS_KERNEL(attention_forward, kCuda, kBf16, attention_forward_cuda<bf16>);

}  // namespace clausius::ops
