// SPDX-License-Identifier: Apache-2.0
// The CUDA backward of attention, any sizes and options: one kernel over query blocks for dq, one over key blocks for dk and dv, so
// that every sum has one owner and one order.
#include "core/cuda/context.h"
#include "core/ops/attention/attention_backward_mma.cuh"
#include "core/ops/attention/attention_backward_wgmma.cuh"
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

// What a block of 64 rows of queries is given in shared memory; rows that do not exist see no key.
struct RowTable {
  int begin[kTile];
  int end[kTile];
  GradientRow row[kTile];

  template <class T>
  __device__ void fill(const BackwardArguments<T>& a,
                       std::int64_t b,
                       std::int64_t h,
                       std::int64_t first,
                       std::int64_t last) {
    if (threadIdx.x < kTile) {
      const auto r = static_cast<int>(threadIdx.x);
      const std::int64_t i = first + r;
      const std::int64_t place = b * a.sizes.T + i;
      begin[r] = i < last ? a.logits.begin_BT[place] : 0;
      end[r] = i < last ? a.logits.end_BT[place] : 0;
      row[r] = i < last ? gradient_row(a, b, h, i) : GradientRow{};
    }
  }
};

// Products q k of a tile become gradients of the scaled products; dscale is added to.
template <class T>
__device__ void query_score_gradients(const BackwardArguments<T>& a,
                                      const QueryBlock& at,
                                      std::int64_t first_key,
                                      const RowTable& rows,
                                      const ScoreTile& dp,
                                      ScoreTile& scores,
                                      float (&dscale)[kOwnRows]) {
  const int ty = static_cast<int>(threadIdx.x) / kLanes;
  const int tx = static_cast<int>(threadIdx.x) % kLanes;
  CLS_UNROLL
  for (int i = 0; i < kOwnRows; ++i) {
    const int r = ty * kOwnRows + i;
    const auto own_key = static_cast<int>(first_key) + tx * kOwnColumns;
    Words words{};
    if (a.dropout.active) {
      words = a.dropout.words(at.b, at.h, at.first + r, own_key);
    }
    CLS_UNROLL
    for (int j = 0; j < kOwnColumns; ++j) {
      const bool visible = rows.begin[r] <= own_key + j && own_key + j < rows.end[r];
      const float keep = a.dropout.active ? a.dropout.factor(words.value[j]) : 1.0F;
      float log2_p = 0;
      float slope = 1;
      const float p =
          probability(a.logits, rows.row[r], scores[i][j] * rows.row[r].scale, log2_p, slope);
      const float gradient =
          visible ? score_gradient(rows.row[r], p, log2_p, slope, keep * dp[i][j]) : 0.0F;
      dscale[i] = visible ? fmaf(gradient, scores[i][j], dscale[i]) : dscale[i];
      scores[i][j] = gradient;
    }
  }
}

// Grid: (query blocks x B x H, parts of D).
template <class T, int kChunks>
__global__ void __launch_bounds__(kThreads, 2) attention_dq_kernel(BackwardArguments<T> a) {
  CLS_DYNAMIC_SHARED(float, memory);
  __shared__ RowTable rows;
  const SharedTiles shared = shared_tiles(memory);
  const Sizes& n = a.sizes;
  const QueryBlock at(n, kTile);
  const int count = static_cast<int>(at.last - at.first);
  rows.fill(a, at.b, at.h, at.first, at.last);
  __syncthreads();
  const int ty = static_cast<int>(threadIdx.x) / kLanes;
  const int tx = static_cast<int>(threadIdx.x) % kLanes;
  const std::int64_t last_key = rows.end[count - 1];
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * kChunks * kChunk;
  float dscale[kOwnRows] = {};
  Sums64<kChunks> sums;
  for (std::int64_t key = rows.begin[0] / kTile * kTile; key < last_key; key += kTile) {
    ScoreTile scores;
    ScoreTile dp;
    multiply_rows(tile_rows(a.q, at.b, at.h, at.first, n.T),
                  tile_rows(a.k, at.b, at.g, key, last_key), n.D, shared, scores);
    multiply_rows(tile_rows(a.dy, at.b, at.h, at.first, n.T),
                  tile_rows(a.v, at.b, at.g, key, last_key), n.E, shared, dp);
    query_score_gradients(a, at, key, rows, dp, scores, dscale);
    store_tile(scores, shared);
    sums.add(tile_rows(a.k, at.b, at.g, key, last_key), column, n.D, shared);
  }
  float factor[kOwnRows];
  CLS_UNROLL
  for (int i = 0; i < kOwnRows; ++i) {
    const int r = ty * kOwnRows + i;
    factor[i] = rows.row[r].scale;
    if (a.row_dscale != nullptr) {
      const float sum = row_reduce(dscale[i], cuda::Add{});
      if (blockIdx.y == 0 && tx == 0 && r < count) {
        a.row_dscale[at.head * n.T + at.first + r] = sum * a.logits.scale;
      }
    }
  }
  sums.store(a.dq.at(at.b, at.h, at.first), a.dq.row, count, column, n.D, factor);
}

// Rows of the tile are keys here and its columns are queries: products q k become kept probabilities where kValues, else gradients of
// the products.
template <bool kValues, class T>
__device__ void key_score_gradients(const BackwardArguments<T>& a,
                                    const KeyBlock& at,
                                    std::int64_t h,
                                    std::int64_t first_row,
                                    const RowTable& rows,
                                    const ScoreTile& dp,
                                    ScoreTile& scores) {
  const int ty = static_cast<int>(threadIdx.x) / kLanes;
  const int tx = static_cast<int>(threadIdx.x) % kLanes;
  CLS_UNROLL
  for (int j = 0; j < kOwnColumns; ++j) {
    const int r = tx * kOwnColumns + j;
    const GradientRow row = rows.row[r];
    Words words{};
    CLS_UNROLL
    for (int i = 0; i < kOwnRows; ++i) {
      const int key = static_cast<int>(at.first) + ty * kOwnRows + i;
      if (a.dropout.active && i % 4 == 0) {
        words = a.dropout.words(at.b, h, first_row + r, key);
      }
      const bool visible = rows.begin[r] <= key && key < rows.end[r];
      const float keep = a.dropout.active ? a.dropout.factor(words.value[i % 4]) : 1.0F;
      float log2_p = 0;
      float slope = 1;
      const float p = probability(a.logits, row, scores[i][j] * row.scale, log2_p, slope);
      if constexpr (kValues) {
        scores[i][j] = visible ? keep * p : 0.0F;
      } else {
        const float gradient = score_gradient(row, p, log2_p, slope, keep * dp[i][j]);
        scores[i][j] = visible ? row.scale * gradient : 0.0F;
      }
    }
  }
}

// kValues: dv, else dk. Grid: (key blocks x B x G, parts of E or D).
template <class T, int kChunks, bool kValues>
__global__ void __launch_bounds__(kThreads, kValues&& kChunks == 1 ? 3 : 2)
    attention_dkv_kernel(BackwardArguments<T> a) {
  CLS_DYNAMIC_SHARED(float, memory);
  __shared__ RowTable rows;
  const SharedTiles shared = shared_tiles(memory);
  const Sizes& n = a.sizes;
  const KeyBlock at(n, a.logits);
  const std::int64_t heads_per_group = n.H / n.G;
  const std::int64_t width = kValues ? n.E : n.D;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * kChunks * kChunk;
  Sums64<kChunks> sums;
  for (std::int64_t h = at.g * heads_per_group; h < (at.g + 1) * heads_per_group; ++h) {
    for (std::int64_t row = at.first_row / kTile * kTile; row < at.last_row; row += kTile) {
      __syncthreads();  // readers of the rows before are done
      rows.fill(a, at.b, h, row, at.last_row);
      const TileRows<T> q_rows = tile_rows(a.q, at.b, h, row, at.last_row);
      const TileRows<T> dy_rows = tile_rows(a.dy, at.b, h, row, at.last_row);
      ScoreTile scores;
      ScoreTile dp;
      multiply_rows(tile_rows(a.k, at.b, at.g, at.first, at.last_key), q_rows, n.D, shared, scores);
      if constexpr (!kValues) {
        multiply_rows(tile_rows(a.v, at.b, at.g, at.first, at.last_key), dy_rows, n.E, shared, dp);
      }
      key_score_gradients<kValues>(a, at, h, row, rows, dp, scores);
      store_tile(scores, shared);
      sums.add(kValues ? dy_rows : q_rows, column, width, shared);
    }
  }
  const HeadRows<T>& to = kValues ? a.dv : a.dk;
  const std::int64_t left = n.S - at.first;
  const float factor[kOwnRows] = {1, 1, 1, 1, 1, 1, 1, 1};
  sums.store(to.at(at.b, at.g, at.first), to.row, static_cast<int>(left < kTile ? left : kTile),
             column, width, factor);
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

template <int kD>
void run_wgmma(const BackwardArguments<bf16>& a, const AttentionProblem& p) {
  const auto config = [](std::int64_t blocks, std::size_t shared_elements) {
    return cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(blocks)),
                              .block = dim3(kTurnThreads),
                              .shared_bytes = shared_elements * sizeof(bf16)};
  };
  const std::int64_t query_blocks = p.B * p.H * div_ceil<std::int64_t>(p.T, kTurnRows);
  const std::int64_t key_blocks = p.B * p.G * div_ceil<std::int64_t>(p.S, kTurnRows);
  if (a.row_dscale != nullptr) {
    cuda::launch(attention_dq_wgmma_kernel<kD, true>,
                 config(query_blocks, QueryGradientTiles<kD, true>::kSize), a);
  } else {
    cuda::launch(attention_dq_wgmma_kernel<kD, false>,
                 config(query_blocks, QueryGradientTiles<kD, false>::kSize), a);
  }
  if (key_blocks > 0) {
    cuda::launch(attention_dkv_wgmma_kernel<kD>, config(key_blocks, KeyGradientTiles<kD>::kSize),
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
      if (cuda::has_warpgroup_products()) {
        return p.D == 64 ? run_wgmma<64>(a, p) : run_wgmma<128>(a, p);
      }
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
                  .sizes = Sizes(problem, sizeof(T)),
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
