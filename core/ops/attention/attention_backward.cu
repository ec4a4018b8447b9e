// SPDX-License-Identifier: Apache-2.0
// The CUDA backward of attention, any sizes and options: one kernel over query blocks for dq, one over key blocks for dk and dv, so
// that every sum has one owner and one order.
#include "core/ops/attention/attention_backward_mma.cuh"
#include "core/ops/attention/attention_device.cuh"

namespace clausius::ops {
namespace {

using namespace attention_cuda;

// d s' = p (dp - shift - dentropy ln p).
struct GradientRow {
  float scale;  // of the product q k
  float lse;    // log2 units
  float shift;
  float dentropy;  // times ln 2: it multiplies log2 p
};

// One warp a row: what both large kernels need of it, and the gradient of the sink.
template <class T>
__global__ void attention_row_gradient_kernel(BackwardArguments<T> a) {
  const Sizes& n = a.sizes;
  const std::int64_t warps = cuda::global_threads() / cuda::kWarp;
  const auto lane = static_cast<std::int64_t>(threadIdx.x) % cuda::kWarp;
  const std::int64_t rows = n.B * n.H * n.T;
  for (std::int64_t row = cuda::global_index() / cuda::kWarp; row < rows; row += warps) {
    const std::int64_t i = row % n.T;
    const std::int64_t h = row / n.T % n.H;
    const std::int64_t b = row / n.T / n.H;
    const T* dy = a.dy.at(b, h, i);
    const T* y = a.y.at(b, h, i);
    float dot = 0;
    for (std::int64_t e = lane; e < n.E; e += cuda::kWarp) {
      dot = fmaf(static_cast<float>(dy[e]), static_cast<float>(y[e]), dot);
    }
    dot = cuda::warp_reduce<cuda::Add>(dot);
    if (lane == 0) {
      const float dentropy = a.dentropy.at(b, h, i);
      const float shift = dot - a.dlse.at(b, h, i) + dentropy * a.entropy.at(b, h, i);
      a.shift[row] = shift;
      if (a.row_dsink != nullptr) {
        const float log_p = a.logits.sink_of(h) - a.lse.at(b, h, i);
        const float p = expf(log_p);
        a.row_dsink[row] = p == 0 ? 0.0F : p * fmaf(-dentropy, log_p, -shift);
      }
    }
  }
}

template <class T>
__device__ GradientRow
gradient_row(const BackwardArguments<T>& a, std::int64_t b, std::int64_t h, std::int64_t i) {
  return {a.logits.scale_of(h, i), a.lse.at(b, h, i) * kLog2E,
          a.shift[(b * a.sizes.H + h) * a.sizes.T + i], a.dentropy.at(b, h, i) * kLn2};
}

// p, and the gradient of the scaled product s = scale <q, k>; dp: of the probability, from y.
__device__ inline float probability(
    const Logits& logits, const GradientRow& row, float s, float& log2_p, float& slope) {
  log2_p = logits.capped(s, slope) - row.lse;
  return exp2f(log2_p);
}
__device__ inline float score_gradient(
    const GradientRow& row, float p, float log2_p, float slope, float dp) {
  return p == 0 ? 0.0F : slope * p * fmaf(-row.dentropy, log2_p, dp - row.shift);
}

// Grid: (query blocks x B x H, parts of D).
template <class T, int kChunks>
__global__ void __launch_bounds__(kThreads, 2) attention_dq_kernel(BackwardArguments<T> a) {
  CLS_DYNAMIC_SHARED(float, memory);
  __shared__ int begin[kTile];
  __shared__ int end[kTile];
  __shared__ GradientRow rows[kTile];
  const SharedTiles shared = shared_tiles(memory);
  const Sizes& n = a.sizes;
  const QueryBlock at(n, kTile);
  const int count = static_cast<int>(at.last - at.first);
  if (threadIdx.x < kTile) {
    const auto r = static_cast<int>(threadIdx.x);
    const std::int64_t i = at.first + r;
    begin[r] = r < count ? a.logits.begin_BT[at.b * n.T + i] : 0;
    end[r] = r < count ? a.logits.end_BT[at.b * n.T + i] : 0;
    rows[r] = r < count ? gradient_row(a, at.b, at.h, i) : GradientRow{};
  }
  __syncthreads();
  const int ty = static_cast<int>(threadIdx.x) / kLanes;
  const int tx = static_cast<int>(threadIdx.x) % kLanes;
  const std::int64_t last_key = end[count - 1];
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * kChunks * kChunk;
  float dscale[kOwnRows] = {};
  Sums64<kChunks> sums;
  for (std::int64_t key = begin[0] / kTile * kTile; key < last_key; key += kTile) {
    ScoreTile scores;
    ScoreTile dp;
    multiply_rows(tile_rows(a.q, at.b, at.h, at.first, n.T),
                  tile_rows(a.k, at.b, at.g, key, last_key), n.D, shared, scores);
    multiply_rows(tile_rows(a.dy, at.b, at.h, at.first, n.T),
                  tile_rows(a.v, at.b, at.g, key, last_key), n.E, shared, dp);
    CLS_UNROLL
    for (int i = 0; i < kOwnRows; ++i) {
      const int r = ty * kOwnRows + i;
      const auto own_key = static_cast<int>(key) + tx * kOwnColumns;
      Words words{};
      if (a.dropout.active) {
        words = a.dropout.words(at.b, at.h, at.first + r, own_key);
      }
      CLS_UNROLL
      for (int j = 0; j < kOwnColumns; ++j) {
        const bool visible = begin[r] <= own_key + j && own_key + j < end[r];
        const float keep = a.dropout.active ? a.dropout.factor(words.value[j]) : 1.0F;
        float log2_p = 0;
        float slope = 1;
        const float p = probability(a.logits, rows[r], scores[i][j] * rows[r].scale, log2_p, slope);
        const float gradient =
            visible ? score_gradient(rows[r], p, log2_p, slope, keep * dp[i][j]) : 0.0F;
        dscale[i] = visible ? fmaf(gradient, scores[i][j], dscale[i]) : dscale[i];
        scores[i][j] = gradient;
      }
    }
    store_tile(scores, shared);
    sums.add(tile_rows(a.k, at.b, at.g, key, last_key), column, n.D, shared);
  }
  float factor[kOwnRows];
  CLS_UNROLL
  for (int i = 0; i < kOwnRows; ++i) {
    const int r = ty * kOwnRows + i;
    factor[i] = rows[r].scale;
    if (a.row_dscale != nullptr) {
      const float sum = row_reduce(dscale[i], cuda::Add{});
      if (blockIdx.y == 0 && tx == 0 && r < count) {
        a.row_dscale[at.head * n.T + at.first + r] = sum * a.logits.scale;
      }
    }
  }
  sums.store(a.dq.at(at.b, at.h, at.first), a.dq.row, count, column, n.D, factor);
}

// Rows of the tile are keys here and its columns are queries. kValues: dv, else dk. Grid: (key blocks x B x G, parts of E or D).
template <class T, int kChunks, bool kValues>
__global__ void __launch_bounds__(kThreads, 2) attention_dkv_kernel(BackwardArguments<T> a) {
  CLS_DYNAMIC_SHARED(float, memory);
  __shared__ int begin[kTile];
  __shared__ int end[kTile];
  __shared__ GradientRow rows[kTile];
  const SharedTiles shared = shared_tiles(memory);
  const Sizes& n = a.sizes;
  const std::int64_t groups = n.B * n.G;
  const std::int64_t heads_per_group = n.H / n.G;
  const std::int64_t first_key = static_cast<std::int64_t>(blockIdx.x) / groups * kTile;
  const std::int64_t b = static_cast<std::int64_t>(blockIdx.x) % groups / n.G;
  const std::int64_t g = static_cast<std::int64_t>(blockIdx.x) % groups % n.G;
  const std::int32_t* begins = a.logits.begin_BT + b * n.T;
  const std::int32_t* ends = a.logits.end_BT + b * n.T;
  // Rows [first_row, last_row) may see a key of this block; keys past every end may be memory nobody wrote.
  const std::int64_t first_row = first_at_least(ends, n.T, first_key + 1);
  const std::int64_t last_row = first_at_least(begins, n.T, first_key + kTile);
  const std::int64_t last_key = first_row < last_row ? ends[n.T - 1] : first_key;
  const int ty = static_cast<int>(threadIdx.x) / kLanes;
  const int tx = static_cast<int>(threadIdx.x) % kLanes;
  const std::int64_t width = kValues ? n.E : n.D;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * kChunks * kChunk;
  Sums64<kChunks> sums;
  for (std::int64_t h = g * heads_per_group; h < (g + 1) * heads_per_group; ++h) {
    for (std::int64_t row = first_row / kTile * kTile; row < last_row; row += kTile) {
      __syncthreads();  // readers of the rows before are done
      if (threadIdx.x < kTile) {
        const auto r = static_cast<int>(threadIdx.x);
        const std::int64_t i = row + r;
        begin[r] = i < last_row ? begins[i] : 0;
        end[r] = i < last_row ? ends[i] : 0;
        rows[r] = i < last_row ? gradient_row(a, b, h, i) : GradientRow{};
      }
      ScoreTile scores;
      ScoreTile dp;
      multiply_rows(tile_rows(a.k, b, g, first_key, last_key), tile_rows(a.q, b, h, row, last_row),
                    n.D, shared, scores);
      if constexpr (!kValues) {
        multiply_rows(tile_rows(a.v, b, g, first_key, last_key),
                      tile_rows(a.dy, b, h, row, last_row), n.E, shared, dp);
      }
      CLS_UNROLL
      for (int j = 0; j < kOwnColumns; ++j) {
        const int r = tx * kOwnColumns + j;
        const GradientRow of_row = rows[r];
        Words words{};
        CLS_UNROLL
        for (int i = 0; i < kOwnRows; ++i) {
          const int key = static_cast<int>(first_key) + ty * kOwnRows + i;
          if (a.dropout.active && i % 4 == 0) {
            words = a.dropout.words(b, h, row + r, key);
          }
          const bool visible = begin[r] <= key && key < end[r];
          const float keep = a.dropout.active ? a.dropout.factor(words.value[i % 4]) : 1.0F;
          float log2_p = 0;
          float slope = 1;
          const float p = probability(a.logits, of_row, scores[i][j] * of_row.scale, log2_p, slope);
          if constexpr (kValues) {
            scores[i][j] = visible ? keep * p : 0.0F;
          } else {
            const float gradient = score_gradient(of_row, p, log2_p, slope, keep * dp[i][j]);
            scores[i][j] = visible ? of_row.scale * gradient : 0.0F;
          }
        }
      }
      store_tile(scores, shared);
      sums.add(kValues ? tile_rows(a.dy, b, h, row, last_row) : tile_rows(a.q, b, h, row, last_row),
               column, width, shared);
    }
  }
  const HeadRows<T>& to = kValues ? a.dv : a.dk;
  const std::int64_t left = n.S - first_key;
  const float factor[kOwnRows] = {1, 1, 1, 1, 1, 1, 1, 1};
  sums.store(to.at(b, g, first_key), to.row, static_cast<int>(left < kTile ? left : kTile), column,
             width, factor);
}

// Sums over b and, where the width is 1, over i, of row_BHT; one block an element (h, i) of the sum.
__global__ void attention_sum_rows_kernel(std::int64_t B,
                                          std::int64_t H,
                                          std::int64_t T,
                                          std::int64_t width,
                                          const float* row_BHT,
                                          std::int64_t head_stride,
                                          std::int64_t row_stride,
                                          float* sum) {
  const std::int64_t h = static_cast<std::int64_t>(blockIdx.x) / width;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) % width;
  const std::int64_t length = T / width;
  double total = 0;
  for (auto n = static_cast<std::int64_t>(threadIdx.x); n < B * length; n += blockDim.x) {
    total += static_cast<double>(row_BHT[(n / length * H + h) * T + i + n % length]);
  }
  total = cuda::block_reduce<cuda::Add>(total, 0.0);
  if (threadIdx.x == 0) {
    sum[h * head_stride + i * row_stride] = static_cast<float>(total);
  }
}

void sum_rows(const Tensor& row_BHT, const AttentionProblem& p, Tensor& sum) {
  if (!sum.defined()) {
    return;
  }
  const std::int64_t width = sum.rank() == 1 ? 1 : p.T;
  cuda::launch(attention_sum_rows_kernel,
               {.grid = dim3(narrow<unsigned>(p.H * width)), .block = dim3(width == 1 ? 256 : 32)},
               p.B, p.H, p.T, width, row_BHT.data<float>(), sum.stride(0),
               sum.rank() == 1 ? 0 : sum.stride(1), sum.data<float>());
}

cuda::LaunchConfig tiles_config(std::int64_t blocks, std::int64_t width, int chunks) {
  return {.grid = dim3(narrow<unsigned>(blocks),
                       narrow<unsigned>(div_ceil<std::int64_t>(width, chunks * kChunk))),
          .block = dim3(kThreads),
          .shared_bytes = kSharedFloats * sizeof(float)};
}

template <class T>
void run_general(const BackwardArguments<T>& a, const AttentionProblem& p) {
  const std::int64_t query_blocks = p.B * p.H * div_ceil<std::int64_t>(p.T, kTile);
  const std::int64_t key_blocks = p.B * p.G * div_ceil<std::int64_t>(p.S, kTile);
  const int d_chunks = p.D <= kChunk ? 1 : 2;
  const int e_chunks = p.E <= kChunk ? 1 : 2;
  cuda::launch(d_chunks == 1 ? attention_dq_kernel<T, 1> : attention_dq_kernel<T, 2>,
               tiles_config(query_blocks, p.D, d_chunks), a);
  if (key_blocks > 0) {
    cuda::launch(
        d_chunks == 1 ? attention_dkv_kernel<T, 1, false> : attention_dkv_kernel<T, 2, false>,
        tiles_config(key_blocks, p.D, d_chunks), a);
    cuda::launch(
        e_chunks == 1 ? attention_dkv_kernel<T, 1, true> : attention_dkv_kernel<T, 2, true>,
        tiles_config(key_blocks, p.E, e_chunks), a);
  }
}

template <int kD>
void run_mma(const BackwardArguments<bf16>& a, const AttentionProblem& p) {
  const auto config = [](std::int64_t blocks, std::size_t rows) {
    return cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(blocks)),
                              .block = dim3(kMmaThreads),
                              .shared_bytes = rows * kD * sizeof(bf16)};
  };
  const std::int64_t query_blocks = p.B * p.H * div_ceil<std::int64_t>(p.T, kTile);
  const std::int64_t key_blocks = p.B * p.G * div_ceil<std::int64_t>(p.S, kTile);
  cuda::launch(a.row_dscale != nullptr ? attention_dq_mma_kernel<kD, true>
                                       : attention_dq_mma_kernel<kD, false>,
               config(query_blocks, 6 * kTile), a);
  if (key_blocks > 0) {
    cuda::launch(attention_dkv_mma_kernel<kD>, config(key_blocks, kD == 64 ? 6 * kTile : 4 * kTile),
                 a);
  }
}

template <class T>
void run_kernels(BackwardArguments<T> a,
                 const AttentionProblem& p,
                 const Tensor& dy,
                 const Tensor& q,
                 const Tensor& k,
                 const Tensor& v) {
  cuda::launch(attention_row_gradient_kernel<T>, cuda::grid_over(p.B * p.H * p.T * cuda::kWarp), a);
  if constexpr (std::is_same_v<T, bf16>) {
    if (for_tensor_cores(p)) {
      const Tensor aligned[] = {with_vectors(q, 1), with_vectors(k, 1), with_vectors(v, 1),
                                with_vectors(dy, 2)};
      a.q = HeadRows<const T>(aligned[0], 1);
      a.k = HeadRows<const T>(aligned[1], 1);
      a.v = HeadRows<const T>(aligned[2], 1);
      a.dy = HeadRows<const T>(aligned[3], 2);
      a.pairs = writes_pairs(a.dq) && writes_pairs(a.dk) && writes_pairs(a.dv);
      return p.D == 64 ? run_mma<64>(a, p) : run_mma<128>(a, p);
    }
  }
  run_general(a, p);
}

template <class T>
void attention_backward_cuda(const Tensor& dy,
                             const Tensor& dentropy,
                             const Tensor& dlse,
                             const Tensor& q,
                             const Tensor& k,
                             const Tensor& v,
                             const Tensor& scale,
                             const Tensor& sink,
                             const Tensor& y,
                             const Tensor& entropy,
                             const Tensor& lse,
                             const AttentionProblem& problem,
                             Tensor& dq,
                             Tensor& dk,
                             Tensor& dv,
                             Tensor& dscale,
                             Tensor& dsink) {
  if (problem.B * problem.H * problem.T == 0) {
    for (Tensor* gradient : {&dq, &dk, &dv, &dscale, &dsink}) {
      if (gradient->defined()) {
        gradient->fill(0.0);
      }
    }
    return;
  }
  const Shape rows{problem.B, problem.H, problem.T};
  const auto scratch = [&](bool wanted) {
    return wanted ? Tensor::empty(rows, Dtype::kF32, q.device()) : Tensor();
  };
  Tensor shift = scratch(true);
  Tensor row_dscale = scratch(dscale.defined());
  Tensor row_dsink = scratch(dsink.defined());
  run_kernels<T>({.q = HeadRows<const T>(q, 1),
                  .k = HeadRows<const T>(k, 1),
                  .v = HeadRows<const T>(v, 1),
                  .dy = HeadRows<const T>(dy, 2),
                  .y = HeadRows<const T>(y, 2),
                  .dentropy = RowValues(dentropy),
                  .dlse = RowValues(dlse),
                  .entropy = RowValues(entropy),
                  .lse = RowValues(lse),
                  .logits = Logits(scale, sink, problem),
                  .dropout = Dropout(problem),
                  .sizes = Sizes(problem),
                  .dq = HeadRows<T>(dq, 1),
                  .dk = HeadRows<T>(dk, 1),
                  .dv = HeadRows<T>(dv, 1),
                  .shift = shift.data<float>(),
                  .row_dscale = dscale.defined() ? row_dscale.data<float>() : nullptr,
                  .row_dsink = dsink.defined() ? row_dsink.data<float>() : nullptr},
                 problem, dy, q, k, v);
  sum_rows(row_dscale, problem, dscale);
  sum_rows(row_dsink, problem, dsink);
}

}  // namespace

CLS_KERNEL(attention_backward, kCuda, kF32, attention_backward_cuda<float>);
CLS_KERNEL(attention_backward, kCuda, kBf16, attention_backward_cuda<bf16>);

}  // namespace clausius::ops
