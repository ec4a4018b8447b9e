// SPDX-License-Identifier: Apache-2.0
// Tensor cores by warpgroup (sm_90a): products of 64 rows whose operands stay in shared memory, run while the threads go on. In
// emulation each product is done at once, by the same fragments.
#pragma once

#include <cstdint>

#include "core/cuda/mma.cuh"
#include "core/cuda/unroll.cuh"

// Compiled for a device that has them, or emulated; elsewhere the functions below do nothing and no kernel that uses them is launched.
#if defined(CLS_CUDA_EMULATION) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define CLS_WGMMA 1
#endif

namespace clausius::cuda {

/// Four warps that multiply together; the first has an index divisible by four.
inline constexpr unsigned kWarpgroup = 4 * kWarp;

/// Index of this thread's warpgroup, which the compiler then knows to be the same for all threads of a warp.
__device__ inline int warpgroup() {
  return static_cast<int>(__shfl_sync(kAllLanes, threadIdx.x / kWarpgroup, 0));
}

/// A place in a PanelTile, where a product begins to read one operand.
struct PanelOperand {
#ifdef CLS_CUDA_EMULATION
  const bf16* data;  // of the tile
  unsigned rows;     // of the tile
  unsigned row;
  unsigned column;

  [[nodiscard]] float at(unsigned r, unsigned c) const;
#else
  std::uint64_t descriptor;
#endif
};

/// kRows rows of kD bf16 in shared memory, 1024-byte aligned: panels of 64 columns, each of rows of 128 bytes; pieces of 16 bytes are
/// permuted within a row by the row's number. It is what the hardware calls the 128-byte swizzle.
template <int kRows, int kD>
struct PanelTile {
  bf16* data;
  static constexpr unsigned kColumns = 64;  // of a panel
  static constexpr int kSize = kRows * kD;
  static_assert(kD % 64 == 0 && kRows % 8 == 0);

  __device__ static unsigned at(unsigned row, unsigned piece) {
    return (piece / 8 * kRows + row) * kColumns + (piece % 8 ^ row % 8) * 8;
  }

  /// One warpgroup copies `count` rows (at most kRows), zeros past them; the caller ends the group of copies.
  __device__ void fill(const bf16* from, std::int64_t stride, std::int64_t count) const {
    constexpr unsigned kPieces = kD / 8;
    constexpr unsigned kRowsAtOnce = kWarpgroup / kPieces;
    static_assert(kRowsAtOnce % 8 == 0 && kRows % kRowsAtOnce == 0);
    const unsigned first = threadIdx.x % kWarpgroup / kPieces;
    const unsigned piece = threadIdx.x % kPieces;
    const bf16* source = from + first * stride + piece * 8;
    const unsigned place = at(first, piece);
    const int rows = static_cast<int>(count < kRows ? count : kRows) - static_cast<int>(first);
    CLS_UNROLL
    for (int row = 0; row < kRows; row += static_cast<int>(kRowsAtOnce)) {
      copy_async(data, place + static_cast<unsigned>(row) * kColumns, source, row < rows);
      source += kRowsAtOnce * stride;
    }
  }

  /// From row `row` (a multiple of 8) and column `column` (a multiple of 16) on.
  __device__ PanelOperand from(unsigned row, unsigned column) const {
#ifdef CLS_CUDA_EMULATION
    return {data, kRows, row, column};
#else
    const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(data)) +
                             2 * ((column / kColumns * kRows + row) * kColumns + column % kColumns);
    constexpr std::uint64_t kPanelBytes = kRows * kColumns * sizeof(bf16);
    constexpr std::uint64_t kEightRows = 8 * kColumns * sizeof(bf16);
    constexpr std::uint64_t kSwizzle128 = 1;
    return {(address & 0x3FFFFU) >> 4 | (kPanelBytes >> 4) << 16 | (kEightRows >> 4) << 32 |
            kSwizzle128 << 62};
#endif
  }
};

#ifdef CLS_CUDA_EMULATION
inline float PanelOperand::at(unsigned r, unsigned c) const {
  const unsigned piece = (column + c) / 8;
  const unsigned line = row + r;
  return static_cast<float>(
      data[(piece / 8 * rows + line) * 64 + (piece % 8 ^ line % 8) * 8 + (column + c) % 8]);
}
#endif

/// Makes what this thread wrote to shared memory (copies that have landed too) visible to products; a barrier follows.
__device__ inline void publish_to_products() {
#if defined(CLS_WGMMA) && !defined(CLS_CUDA_EMULATION)
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
/// Before the first product that uses registers which the threads wrote.
__device__ inline void begin_products() {
#if defined(CLS_WGMMA) && !defined(CLS_CUDA_EMULATION)
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
/// Ends a group of products of this warpgroup.
__device__ inline void commit_products() {
#if defined(CLS_WGMMA) && !defined(CLS_CUDA_EMULATION)
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
/// Keeps the compiler from touching sums of products under way: call it before the first and after the wait.
template <int kColumns>
__device__ void hold([[maybe_unused]] float (&d)[kColumns][4]) {
#ifndef CLS_CUDA_EMULATION
  CLS_UNROLL
  for (int n = 0; n < kColumns; ++n) {
    asm volatile("" : "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])::"memory");
  }
#endif
}
/// Waits until at most kPending groups of this warpgroup are under way.
template <int kPending>
__device__ void wait_products() {
#if defined(CLS_WGMMA) && !defined(CLS_CUDA_EMULATION)
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
#endif
}

#ifdef CLS_CUDA_EMULATION
namespace detail {
// d (+)= a b with the lane's rows r, r + 8 of a.
template <bool kRowsAreDepth, int kColumns>
void emulate_product(const float (&low)[16],
                     const float (&high)[16],
                     const PanelOperand& b,
                     float (&d)[kColumns][4],
                     bool add) {
  const unsigned c = static_cast<unsigned>(emulation::lane()) % 4 * 2;
  for (unsigned n = 0; n < kColumns; ++n) {
    for (unsigned e = 0; e < 2; ++e) {
      float sums[2] = {add ? d[n][e] : 0.0F, add ? d[n][e + 2] : 0.0F};
      for (unsigned k = 0; k < 16; ++k) {
        const unsigned column = 8 * n + c + e;
        const float value = kRowsAreDepth ? b.at(k, column) : b.at(column, k);
        sums[0] += low[k] * value;
        sums[1] += high[k] * value;
      }
      d[n][e] = sums[0];
      d[n][e + 2] = sums[1];
    }
  }
}
}  // namespace detail
#endif

// Lists of operands for 8 columns of four f32.
#define CLS_FOUR(d, n) "+f"((d)[n][0]), "+f"((d)[n][1]), "+f"((d)[n][2]), "+f"((d)[n][3])
#define CLS_EIGHT_COLUMNS(d, n)                                                     \
  CLS_FOUR(d, n), CLS_FOUR(d, (n) + 1), CLS_FOUR(d, (n) + 2), CLS_FOUR(d, (n) + 3), \
      CLS_FOUR(d, (n) + 4), CLS_FOUR(d, (n) + 5), CLS_FOUR(d, (n) + 6), CLS_FOUR(d, (n) + 7)
#define CLS_REGISTERS_32                                                                        \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, " \
  "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}"
#define CLS_REGISTERS_64                                                                        \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, " \
  "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "  \
  "%38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, "  \
  "%56, %57, %58, %59, %60, %61, %62, %63}"

/// d = a b, or d += a b where `add`: 64 rows by 8 kColumns (64 or 128) columns, depth 16. d is laid out over each warp as in mma.cuh,
/// warp w of the group holding rows 16 w .. 16 w + 15, and so is `a` where it comes from registers. b's rows are its columns of the
/// product, or with kRowsAreDepth its depth. d and `a` may be touched again after wait_products().
template <bool kRowsAreDepth, int kColumns>
__device__ void multiply(const FragmentA& a, PanelOperand b, float (&d)[kColumns][4], bool add) {
  static_assert(kColumns == 8 || kColumns == 16);
#ifdef CLS_CUDA_EMULATION
  float low[16];
  float high[16];
  const int quad = emulation::lane() / 4 * 4;
  for (int c = 0; c < 4; ++c) {
    for (int part = 0; part < 4; ++part) {
      const unsigned pair = __shfl_sync(kAllLanes, a.value[part], quad + c);
      float(&row)[16] = part % 2 == 0 ? low : high;
      for (int e = 0; e < 2; ++e) {
        bf16 number;
        number.bits = static_cast<std::uint16_t>(pair >> (16 * e));
        row[part / 2 * 8 + 2 * c + e] = static_cast<float>(number);
      }
    }
  }
  detail::emulate_product<kRowsAreDepth>(low, high, b, d, add);
#elif defined(CLS_WGMMA)
  if constexpr (kColumns == 8) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " CLS_REGISTERS_32
        ", {%32, %33, %34, %35}, %36, p, 1, 1, %38;\n}\n"
        : CLS_EIGHT_COLUMNS(d, 0)
        : "r"(a.value[0]), "r"(a.value[1]), "r"(a.value[2]), "r"(a.value[3]), "l"(b.descriptor),
          "r"(static_cast<int>(add)), "n"(kRowsAreDepth ? 1 : 0));
  } else {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " CLS_REGISTERS_64
        ", {%64, %65, %66, %67}, %68, p, 1, 1, %70;\n}\n"
        : CLS_EIGHT_COLUMNS(d, 0), CLS_EIGHT_COLUMNS(d, 8)
        : "r"(a.value[0]), "r"(a.value[1]), "r"(a.value[2]), "r"(a.value[3]), "l"(b.descriptor),
          "r"(static_cast<int>(add)), "n"(kRowsAreDepth ? 1 : 0));
  }
#endif
}

/// The same with `a` in shared memory, its 64 rows the warpgroup's, and b's rows the columns.
template <int kColumns>
__device__ void multiply(PanelOperand a, PanelOperand b, float (&d)[kColumns][4], bool add) {
  static_assert(kColumns == 8 || kColumns == 16);
#ifdef CLS_CUDA_EMULATION
  float low[16];
  float high[16];
  const unsigned row =
      threadIdx.x % kWarpgroup / kWarp * 16 + static_cast<unsigned>(emulation::lane()) / 4;
  for (unsigned k = 0; k < 16; ++k) {
    low[k] = a.at(row, k);
    high[k] = a.at(row + 8, k);
  }
  detail::emulate_product<false>(low, high, b, d, add);
#elif defined(CLS_WGMMA)
  if constexpr (kColumns == 8) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " CLS_REGISTERS_32
        ", %32, %33, p, 1, 1, 0, 0;\n}\n"
        : CLS_EIGHT_COLUMNS(d, 0)
        : "l"(a.descriptor), "l"(b.descriptor), "r"(static_cast<int>(add)));
  } else {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " CLS_REGISTERS_64
        ", %64, %65, p, 1, 1, 0, 0;\n}\n"
        : CLS_EIGHT_COLUMNS(d, 0), CLS_EIGHT_COLUMNS(d, 8)
        : "l"(a.descriptor), "l"(b.descriptor), "r"(static_cast<int>(add)));
  }
#endif
}

#undef CLS_FOUR
#undef CLS_EIGHT_COLUMNS
#undef CLS_REGISTERS_32
#undef CLS_REGISTERS_64

}  // namespace clausius::cuda
