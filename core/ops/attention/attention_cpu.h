// SPDX-License-Identifier: Apache-2.0
// Inside of the CPU attention kernels: tile sizes, small matrix products, arguments as raw
// pointers. Not for other ops.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <vector>

#include "core/checked.h"
#include "core/ops/attention/attention.h"
#include "core/parallel.h"
#include "core/tensor.h"

namespace clausius::ops::detail {

/// Kernels work on tiles of scores, keys by queries: S^T[key][query], with queries in SIMD lanes.
/// Row statistics (max, sum, entropy, lse) are then vectors that need no horizontal reduction, and
/// every product of the backward pass finds its operands as they lie.
inline constexpr std::int64_t kTileRows = 64;
inline constexpr std::int64_t kTileKeys = 64;
/// Tiles that the mask cuts are visited in steps of 16 keys, each with only those rows (multiples
/// of 16) that see one of them.
inline constexpr std::int64_t kStep = 16;
inline constexpr std::int64_t kStepsPerTile = kTileKeys / kStep;

/// Production runs use the defaults; the benchmark and tests switch parts off.
struct AttentionCpuChoice {
  bool entropy = true;  // false: no entropy, the ablation of the benchmark
  bool jit = true;      // false: portable products instead of libxsmm's
};

/// C[n][m] += (or =) sum_k A[k][m] B[n][k]; rows of A, B, C are lda, ldb, ldc apart; m, n, k are
/// multiples of 16. T = float, or bf16 where A comes in pairs of k, A[k / 2][m][2] (lda counts
/// pairs). C is f32.
template <class T>
struct TileProduct {
  using Kernel = void (*)(const T*, const T*, float*);
  std::int64_t m = 0, n = 0, k = 0, lda = 0, ldb = 0, ldc = 0;
  bool accumulate = true;
  /// Null where libxsmm has no code for this machine: the caller then runs a portable loop (f32
  /// only).
  Kernel kernel = nullptr;

  [[nodiscard]] static TileProduct make(std::int64_t m,
                                        std::int64_t n,
                                        std::int64_t k,
                                        std::int64_t lda,
                                        std::int64_t ldb,
                                        std::int64_t ldc,
                                        bool accumulate,
                                        bool jit);
};

/// True where libxsmm multiplies bf16 on this machine; else bf16 inputs are widened and multiplied
/// as f32.
[[nodiscard]] bool has_bf16_products();

/// One product for each number of rows of a tile: [rows / 16 - 1].
template <class T>
using ByRows = std::array<TileProduct<T>, kTileRows / kStep>;

/// Rows (b, h, i) of a [B, heads, T, width] or [B, T, heads, width] tensor with dense rows.
template <class T>
struct HeadRows {
  T* data = nullptr;
  std::int64_t batch = 0, head = 0, row = 0;

  HeadRows() = default;
  HeadRows(const Tensor& tensor, int head_axis)
      : data(const_cast<T*>(tensor.data<std::remove_const_t<T>>())),
        batch(tensor.stride(0)),
        head(tensor.stride(head_axis)),
        row(tensor.stride(3 - head_axis)) {}
  [[nodiscard]] T* at(std::int64_t b, std::int64_t h, std::int64_t i) const {
    return data + b * batch + h * head + i * row;
  }
};

/// Values (b, h, i) of a [B, H, T] tensor, any strides; null for an undefined one.
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
  [[nodiscard]] float at(std::int64_t b, std::int64_t h, std::int64_t i) const {
    return data == nullptr ? 0.0F : data[b * batch + h * head + i * row];
  }
};

/// Per-head parameters: a scale for each row (1 when undefined) and a sink logit.
struct HeadParameters {
  const float* scale = nullptr;
  std::int64_t scale_head = 0, scale_row = 0;
  const float* sink = nullptr;

  HeadParameters(const Tensor& scale_tensor, const Tensor& sink_tensor) {
    if (scale_tensor.defined()) {
      scale = scale_tensor.data<float>();
      scale_head = scale_tensor.stride(0);
      scale_row = scale_tensor.rank() == 2 ? scale_tensor.stride(1) : 0;
    }
    sink = sink_tensor.defined() ? sink_tensor.data<float>() : nullptr;
  }
  [[nodiscard]] float scale_of(std::int64_t h, std::int64_t i) const {
    return scale == nullptr ? 1.0F : scale[h * scale_head + i * scale_row];
  }
};

/// Unit u is part u % units of the (b, g) with number u / units: blocks_per_unit query blocks of each of its heads.
template <class In>
struct ForwardArguments {
  HeadRows<const In> q, k, v;
  HeadParameters parameters;
  const AttentionProblem* problem;
  AttentionCpuChoice choice;
  HeadRows<In> y;
  float* entropy;    // [B, H, T]
  float* lse;        // [B, H, T]
  float* block_max;  // [B, H, blocks of 64 queries]: largest visible score
  std::int64_t units = 1;
  std::int64_t blocks_per_unit = 1;
};

/// Threads that a parallel_for would use here.
[[nodiscard]] inline std::int64_t threads_here() {
  return in_parallel_region() ? 1 : num_threads();
}
/// Units handed to a thread at a time: its set-up is shared, and still every thread gets several chunks.
[[nodiscard]] inline std::int64_t units_per_chunk(std::int64_t units) {
  return threads_here() == 1 ? units : std::max<std::int64_t>(1, units / (8 * threads_here()));
}

/// So few query rows a key head, as in decoding, have a kernel that packs nothing.
inline constexpr std::int64_t kMostDecodeRows = 16;
/// Keys of one decoding unit.
inline constexpr std::int64_t kDecodeKeys = 256;
/// Floats of one decoding unit: for each row (h, i) of one b its max, sum, weighted sum, largest score and sum of p v.
[[nodiscard]] inline std::int64_t decode_states_size(const AttentionProblem& p) {
  return p.H * p.T * (4 + p.E);
}

/// Unit u takes every splits-th query block of the (b, g) with number u / splits, from block u % splits on.
template <class In>
struct BackwardArguments {
  HeadRows<const In> q, k, v, dy, y;
  RowValues dentropy, dlse, entropy, lse;
  HeadParameters parameters;
  const AttentionProblem* problem;
  AttentionCpuChoice choice;
  HeadRows<In> dq, dk, dv;
  float* row_dscale;  // [B, H, T], or null where there is no scale or sink
  float* row_dsink;
  std::int64_t splits = 1;
  float* sums = nullptr;  // [B, G, splits, key_sums_size()] where splits > 1
};

/// Floats of one unit's sums over keys: dk [whole tiles of keys][padded D], then dv [..][padded E].
[[nodiscard]] inline std::int64_t dk_size(const AttentionProblem& p) {
  return round_up(p.S, kTileKeys) * round_up(p.D, kStep);
}
[[nodiscard]] inline std::int64_t key_sums_size(const AttentionProblem& p) {
  return dk_size(p) + round_up(p.S, kTileKeys) * round_up(p.E, kStep);
}

/// The kernels of one instruction set. Units may run on any thread, in any order.
template <class In>
struct ForwardKernels {
  /// Units [first, last).
  void (*tiles)(const ForwardArguments<In>&, std::int64_t first, std::int64_t last);
  /// Keys [split, split + 1) kDecodeKeys for all rows of b; then, after all splits, their merger.
  void (*decode)(const ForwardArguments<In>&, std::int64_t b, std::int64_t split, float* states);
  void (*finish_decode)(const ForwardArguments<In>&,
                        std::int64_t b,
                        std::int64_t splits,
                        float* states);
};

template <class In>
struct BackwardKernels {
  /// Units [first, last): writes dq, and dk and dv where splits = 1, else the units' sums.
  void (*tiles)(const BackwardArguments<In>&, std::int64_t first, std::int64_t last);
  /// dk and dv of (b, g) from `splits` sums, which are added in order into the first.
  void (*store_key_gradients)(const BackwardArguments<In>&,
                              std::int64_t b,
                              std::int64_t g,
                              float* sums);
};

/// The whole forward kernel, as registered for f32 and bf16.
void attention_forward_cpu(const AttentionCpuChoice& choice,
                           const Tensor& q,
                           const Tensor& k,
                           const Tensor& v,
                           const Tensor& scale,
                           const Tensor& sink,
                           const AttentionProblem& problem,
                           Tensor& y,
                           Tensor& entropy,
                           Tensor& lse,
                           Tensor& max_logit);

/// The whole backward kernel.
void attention_backward_cpu(const AttentionCpuChoice& choice,
                            const Tensor& dy,
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
                            Tensor& dsink);

/// Scratch memory in 64-byte aligned pieces: name them all with take(), then allocate() points each at its place.
class Scratch {
 public:
  template <class T>
  void take(T*& piece, std::int64_t count) {
    pieces_.push_back({size_, [&piece](std::byte* place) { piece = reinterpret_cast<T*>(place); }});
    size_ += round_up(count * static_cast<std::int64_t>(sizeof(T)), std::int64_t{64});
  }
  void allocate() {
    memory_ = Tensor::empty({size_}, Dtype::kU8);
    for (const Piece& piece : pieces_) {
      piece.point_at(memory_.raw() + piece.offset);
    }
  }

 private:
  struct Piece {
    std::int64_t offset;
    std::function<void(std::byte*)> point_at;
  };
  std::vector<Piece> pieces_;
  std::int64_t size_ = 0;
  Tensor memory_;
};

/// Which part of a tile is visited: for each step of 16 keys, the rows [begin, end) (multiples of
/// 16) that may see one of them.
struct TilePlan {
  bool full = false;  // every row sees every key: no masks, whole-tile products
  std::array<std::int64_t, kStepsPerTile> row_begin{}, row_end{};

  [[nodiscard]] bool visits(std::int64_t step, std::int64_t row) const {
    const auto s = static_cast<std::size_t>(step);
    return row_begin[s] <= row && row < row_end[s];
  }
};

/// `begin`, `end`: bounds of `rows` (a multiple of 16) consecutive rows, ascending.
[[nodiscard]] TilePlan plan_tile(const std::int32_t* begin,
                                 const std::int32_t* end,
                                 std::int64_t rows,
                                 std::int64_t first_key);

}  // namespace clausius::ops::detail
