// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of attention_probe: a thread for each row's first probability, and tiles of 64 queries by 64 keys for the spreads.
#include "core/ops/attention/attention_device.cuh"
#include "core/ops/attention/attention_probe.h"

namespace clausius::ops {
namespace {

using namespace attention_cuda;

template <class T>
struct ProbeArguments {
  HeadRows<const T> q, k;
  Logits logits;
  RowValues lse;
  const std::int32_t* document_begin_BT;
  Sizes sizes;
  float* spread;  // [B, H, T]
  float* first;   // [B, H, T]
};

template <class T>
__global__ void attention_first_kernel(std::int64_t rows, ProbeArguments<T> a) {
  const Sizes& n = a.sizes;
  for (std::int64_t at = cuda::global_index(); at < rows; at += cuda::global_threads()) {
    const std::int64_t i = at % n.T;
    const std::int64_t h = at / n.T % n.H;
    const std::int64_t b = at / n.T / n.H;
    const std::int64_t row = b * n.T + i;
    const std::int32_t key = a.document_begin_BT[row];
    if (a.logits.begin_BT[row] != key || key >= a.logits.end_BT[row]) {
      a.first[at] = -1.0F;
      continue;
    }
    const T* q = a.q.at(b, h, i);
    const T* k = a.k.at(b, h / (n.H / n.G), key);
    float product = 0;
    for (std::int64_t d = 0; d < n.D; ++d) {
      product = fmaf(static_cast<float>(q[d]), static_cast<float>(k[d]), product);
    }
    float slope = 0;
    const float logit = a.logits.capped(product * a.logits.scale_of(h, i), slope);
    a.first[at] = exp2f(logit - a.lse.at(b, h, i) * kLog2E);
  }
}

// Grid: query blocks x B x H. Shared memory: 35 KiB, as attention_forward_kernel.
template <class T>
__global__ void __launch_bounds__(kThreads, 2) attention_spread_kernel(ProbeArguments<T> a) {
  CLS_DYNAMIC_SHARED(float, memory);
  __shared__ int begin[kTile];
  __shared__ int end[kTile];
  __shared__ float scale[kTile];
  __shared__ float
      center[kTile];  // what is taken off every logit: that of a uniform row, log2 units
  const SharedTiles shared = shared_tiles(memory);
  const Sizes& n = a.sizes;
  const QueryBlock at(n, kTile);
  const int count = static_cast<int>(at.last - at.first);
  const int sinks = a.logits.sinks != nullptr ? 1 : 0;
  if (threadIdx.x < kTile) {
    const auto r = static_cast<int>(threadIdx.x);
    const std::int64_t i = at.first + r;
    begin[r] = r < count ? a.logits.begin_BT[at.b * n.T + i] : 0;
    end[r] = r < count ? a.logits.end_BT[at.b * n.T + i] : 0;
    scale[r] = r < count ? a.logits.scale_of(at.h, i) : 0.0F;
    const int outcomes = end[r] - begin[r] + sinks;
    center[r] = r < count && outcomes > 0
                    ? (a.lse.at(at.b, at.h, i) - logf(static_cast<float>(outcomes))) * kLog2E
                    : 0.0F;
  }
  __syncthreads();
  float sum[kOwnRows] = {};
  float squares[kOwnRows] = {};
  const int ty = static_cast<int>(threadIdx.x) / kLanes;
  const int tx = static_cast<int>(threadIdx.x) % kLanes;
  const std::int64_t last_key = end[count - 1];
  for (std::int64_t key = begin[0] / kTile * kTile; key < last_key; key += kTile) {
    ScoreTile scores;
    multiply_rows(tile_rows(a.q, at.b, at.h, at.first, n.T),
                  tile_rows(a.k, at.b, at.g, key, last_key), n.D, shared, scores);
    CLS_UNROLL
    for (int i = 0; i < kOwnRows; ++i) {
      const int r = ty * kOwnRows + i;
      CLS_UNROLL
      for (int j = 0; j < kOwnColumns; ++j) {
        const int own_key = static_cast<int>(key) + tx * kOwnColumns + j;
        float slope = 0;
        const float t = a.logits.capped(scores[i][j] * scale[r], slope) - center[r];
        if (begin[r] <= own_key && own_key < end[r]) {
          sum[i] += t;
          squares[i] = fmaf(t, t, squares[i]);
        }
      }
    }
  }
  CLS_UNROLL
  for (int i = 0; i < kOwnRows; ++i) {
    const int r = ty * kOwnRows + i;
    float total = row_reduce(sum[i], cuda::Add{});
    float total_squares = row_reduce(squares[i], cuda::Add{});
    if (sinks > 0) {
      const float t = a.logits.sink_of(at.h) * kLog2E - center[r];
      total += t;
      total_squares = fmaf(t, t, total_squares);
    }
    if (tx == 0 && r < count) {
      const auto outcomes = static_cast<float>(end[r] - begin[r] + sinks);
      const float around_mean = outcomes > 0 ? total_squares - total * (total / outcomes) : 0.0F;
      a.spread[at.head * n.T + at.first + r] =
          around_mean < 0 ? 0.0F : sqrtf(around_mean) * kLn2;  // NaN comes through
    }
  }
}

template <class T>
void attention_probe_cuda(const Tensor& q,
                          const Tensor& k,
                          const Tensor& scale,
                          const Tensor& sink,
                          const Tensor& lse,
                          const Tensor& document_begin,
                          const AttentionProblem& problem,
                          Tensor& spread,
                          Tensor& first) {
  const std::int64_t rows = problem.B * problem.H * problem.T;
  const ProbeArguments<T> a{.q = HeadRows<const T>(q, 1),
                            .k = HeadRows<const T>(k, 1),
                            .logits = Logits(scale, sink, problem),
                            .lse = RowValues(lse),
                            .document_begin_BT = document_begin.data<std::int32_t>(),
                            .sizes = Sizes(problem, sizeof(T)),
                            .spread = spread.defined() ? spread.data<float>() : nullptr,
                            .first = first.data<float>()};
  cuda::launch(attention_first_kernel<T>, cuda::grid_over(rows), rows, a);
  if (spread.defined()) {
    const std::int64_t blocks = problem.B * problem.H * div_ceil<std::int64_t>(problem.T, kTile);
    cuda::launch(attention_spread_kernel<T>,
                 {.grid = dim3(narrow<unsigned>(blocks)),
                  .block = dim3(kThreads),
                  .shared_bytes = kSharedFloats * sizeof(float)},
                 a);
  }
}

CLS_KERNEL(attention_probe, kCuda, kF32, attention_probe_cuda<float>);
CLS_KERNEL(attention_probe, kCuda, kBf16, attention_probe_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
