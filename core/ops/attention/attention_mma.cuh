// SPDX-License-Identifier: Apache-2.0
// What the tensor-core kernels of attention share: tiles of bf16 rows in shared memory and fragments from them.
#pragma once

#include <cstdint>

#include "core/cuda/mma.cuh"
#include "core/cuda/unroll.cuh"
#include "core/cuda/vec.cuh"
#include "core/ops/attention/attention_device.cuh"

namespace clausius::ops::attention_cuda {

/// Rows of one warp in a product.
inline constexpr int kWarpRows = 16;

/// True where the tensor-core kernels take the call: they read 16 bytes at a time and know two head sizes.
[[nodiscard]] inline bool for_tensor_cores(const AttentionProblem& p) {
  return p.D == p.E && (p.D == 64 || p.D == 128) && p.dropout == 0 && p.softcap == 0;
}
[[nodiscard]] inline bool reads_vectors(const HeadRows<const bf16>& rows) {
  return cuda::aligned_for_vectors(rows.data) && rows.batch % 8 == 0 && rows.head % 8 == 0 &&
         rows.row % 8 == 0;
}
/// The tensor, or a copy where 16-byte reads would not be aligned.
[[nodiscard]] inline Tensor with_vectors(const Tensor& tensor, int head_axis) {
  return reads_vectors(HeadRows<const bf16>(tensor, head_axis)) ? tensor : tensor.clone();
}
[[nodiscard]] inline bool writes_pairs(const HeadRows<bf16>& rows) {
  return reinterpret_cast<std::uintptr_t>(rows.data) % 4 == 0 && rows.batch % 2 == 0 &&
         rows.head % 2 == 0 && rows.row % 2 == 0;
}

/// kRows rows of kD bf16 in shared memory. Pieces of 16 bytes are permuted within a row by the row's number, so that eight rows at one
/// column fall into different banks.
template <int kRows, int kD>
struct BfTile {
  bf16* data;
  static constexpr int kSize = kRows * kD;

  __device__ static unsigned at(unsigned row, unsigned piece) {
    return row * kD + (piece ^ row % 8) * 8;
  }

  /// Copies `count` rows (at most kRows), zeros past them; the caller ends the group.
  template <int kThreadsOfBlock>
  __device__ void fill(const bf16* from, std::int64_t stride, std::int64_t count) const {
    constexpr unsigned kPieces = kD / 8;
    constexpr unsigned kRowsAtOnce = kThreadsOfBlock / kPieces;
    static_assert(kRows % kRowsAtOnce == 0);
    const unsigned first = threadIdx.x / kPieces;
    const unsigned piece = threadIdx.x % kPieces;
    const bf16* source = from + first * stride + piece * 8;
    CLS_UNROLL
    for (unsigned row = 0; row < kRows; row += kRowsAtOnce) {
      const bool exists = first + row < count;
      cuda::copy_async(data, at(first + row, piece), exists ? source + row * stride : from, exists);
    }
  }

  /// Rows first .. first + 15, columns 16 step .. 16 step + 15, as the left operand.
  __device__ cuda::FragmentA left(unsigned first, unsigned step) const {
    const unsigned lane = threadIdx.x % cuda::kWarp;
    return cuda::load_matrices<false>(data, at(first + lane % 16, 2 * step + lane / 16));
  }
  /// Right operands of two products with this tile transposed: its rows first .. first + 15 are their columns. Values 0, 1 are of the
  /// first eight.
  __device__ cuda::FragmentA right_transposed(unsigned first, unsigned step) const {
    const unsigned lane = threadIdx.x % cuda::kWarp;
    return cuda::load_matrices<false>(
        data, at(first + lane % 8 + lane / 16 * 8, 2 * step + lane / 8 % 2));
  }
  /// Right operands of two products with this tile: rows 16 step .. 16 step + 15, columns 8 piece .. 8 piece + 15.
  __device__ cuda::FragmentA right(unsigned step, unsigned piece) const {
    const unsigned lane = threadIdx.x % cuda::kWarp;
    return cuda::load_matrices<true>(data, at(16 * step + lane % 16, piece + lane / 16));
  }
};

/// 16 rows by 8 kColumns columns of f32, over a warp: value[n][e] as in mma.cuh.
template <int kColumns>
struct WarpTile {
  float value[kColumns][4] = {};

  /// These columns 16 step .. 16 step + 15, rounded to bf16, as the left operand.
  __device__ cuda::FragmentA left(int step) const {
    const float(&low)[4] = value[2 * step];
    const float(&high)[4] = value[2 * step + 1];
    return {{cuda::pack_bf16(low[0], low[1]), cuda::pack_bf16(low[2], low[3]),
             cuda::pack_bf16(high[0], high[1]), cuda::pack_bf16(high[2], high[3])}};
  }
  /// Times the factor of each half's row.
  __device__ void scale_rows(const float (&factors)[2]) {
    CLS_UNROLL
    for (int n = 0; n < kColumns; ++n) {
      CLS_UNROLL
      for (int e = 0; e < 4; ++e) {
        value[n][e] *= factors[e / 2];
      }
    }
  }
  /// += a (rows of `tile`)^T, one step of 16 columns.
  template <class Tile>
  __device__ void add_transposed(const cuda::FragmentA& a, const Tile& tile, unsigned step) {
    CLS_UNROLL
    for (unsigned n = 0; n < kColumns; n += 2) {
      const cuda::FragmentA b = tile.right_transposed(8 * n, step);
      cuda::multiply_add(a, b.value[0], b.value[1], value[n]);
      cuda::multiply_add(a, b.value[2], b.value[3], value[n + 1]);
    }
  }
  /// += a (rows 16 step .. of `tile`).
  template <class Tile>
  __device__ void add(const cuda::FragmentA& a, const Tile& tile, unsigned step) {
    CLS_UNROLL
    for (unsigned n = 0; n < kColumns; n += 2) {
      const cuda::FragmentA b = tile.right(step, n);
      cuda::multiply_add(a, b.value[0], b.value[1], value[n]);
      cuda::multiply_add(a, b.value[2], b.value[3], value[n + 1]);
    }
  }
  /// Row lane / 4 + 8 half times factor to `to`; in pairs where those are aligned.
  __device__ void store_row(int half, float factor, bf16* to, bool pairs) const {
    const int column = static_cast<int>(threadIdx.x) % 4 * 2;
    CLS_UNROLL
    for (int n = 0; n < kColumns; ++n) {
      const float first = value[n][2 * half] * factor;
      const float second = value[n][2 * half + 1] * factor;
      bf16* place = to + n * 8 + column;
      if (pairs) {
        *reinterpret_cast<unsigned*>(place) = cuda::pack_bf16(first, second);
      } else {
        place[0] = bf16(first);
        place[1] = bf16(second);
      }
    }
  }
};

/// Over the four lanes that share a row; the same value in each.
template <class Op>
__device__ float quad_reduce(float value, Op op) {
  value = op(value, __shfl_xor_sync(cuda::kAllLanes, value, 1));
  return op(value, __shfl_xor_sync(cuda::kAllLanes, value, 2));
}

/// Changes the sign of a warp's left operand in rows of negative scale, so that scales may be taken as positive.
__device__ inline void negate_rows(cuda::FragmentA& a, bool low, bool high) {
  a.value[0] ^= low ? 0x80008000U : 0U;
  a.value[2] ^= low ? 0x80008000U : 0U;
  a.value[1] ^= high ? 0x80008000U : 0U;
  a.value[3] ^= high ? 0x80008000U : 0U;
}

}  // namespace clausius::ops::attention_cuda
