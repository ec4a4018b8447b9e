// SPDX-License-Identifier: Apache-2.0
// Rows of a dense matrix on warps or blocks: a row is read once and kept in registers where it fits.
#pragma once

#include <cstdint>

#include "core/cuda/runs.cuh"
#include "core/cuda/warp.cuh"

namespace clausius::cuda {

/// Most threads of a block whose threads work on one row: leaves 128 registers a thread.
inline constexpr int kMostRowThreads = 512;
/// Warps of a block whose warps each work on a row of their own.
inline constexpr int kRowWarps = 4;

/// How a row is spread: vectors of `Width` elements, `Vectors` of them in each thread's registers (0: the row is read again for each
/// pass), by a warp or by a whole block.
template <int Width, int Vectors, bool WarpRow>
struct RowLayout {
  static constexpr int kWidth = Width;
  static constexpr int kVectors = Vectors;
  static constexpr int kKept = Vectors == 0 ? 1 : Vectors;
  static constexpr bool kWarpRow = WarpRow;

  __device__ static int thread() {
    return static_cast<int>(threadIdx.x) % (kWarpRow ? kWarp : 1 << 30);
  }
  __device__ static int threads() { return kWarpRow ? kWarp : static_cast<int>(blockDim.x); }
  /// The first row of this warp or block, and how many warps or blocks there are.
  __device__ static std::int64_t first_row() {
    return kWarpRow ? global_index() / kWarp : static_cast<std::int64_t>(blockIdx.x);
  }
  __device__ static std::int64_t row_groups() {
    return kWarpRow ? global_threads() / kWarp : static_cast<std::int64_t>(gridDim.x);
  }
};

/// fn(k, i) for this thread's vectors of a row: i is the first element, k the place in registers.
template <class Layout, class Fn>
__device__ void for_each_in_row(std::int64_t width, const Fn& fn) {
  if constexpr (Layout::kVectors == 0) {
    for (std::int64_t i = std::int64_t{Layout::thread()} * Layout::kWidth; i < width;
         i += std::int64_t{Layout::threads()} * Layout::kWidth) {
      fn(0, i);
    }
  } else {
    CLS_UNROLL
    for (int k = 0; k < Layout::kVectors; ++k) {
      const std::int64_t i =
          std::int64_t{Layout::thread() + k * Layout::threads()} * Layout::kWidth;
      if (i < width) {
        fn(k, i);
      }
    }
  }
}

/// A row of T, in registers or read from memory each time.
template <class T, class Layout>
class RowValues {
 public:
  __device__ RowValues(const T* row, std::int64_t width) : row_(row) {
    if constexpr (Layout::kVectors > 0) {
      for_each_in_row<Layout>(
          width, [this](int k, std::int64_t i) { kept_[k] = Raw<Layout::kWidth, T>(row_ + i); });
    }
  }
  __device__ Floats<Layout::kWidth> at(int k, std::int64_t i) const {
    if constexpr (Layout::kVectors > 0) {
      return kept_[k].floats();
    } else {
      return load_floats<Layout::kWidth>(row_ + i);
    }
  }

 private:
  const T* row_;
  Raw<Layout::kWidth, T> kept_[Layout::kKept];
};

/// What a thread adds up over a row: f32 for the few elements it keeps, f64 for rows beyond that.
template <class Layout>
using RowSum = std::conditional_t<Layout::kVectors == 0, double, float>;

/// Each of the values over the threads of the row, the same in all of them.
template <class Layout, class Op, int kCount, class T>
__device__ void row_reduce(T (&value)[kCount], T identity) {
  CLS_UNROLL
  for (int j = 0; j < kCount; ++j) {
    value[j] = warp_reduce<Op>(value[j]);
  }
  if constexpr (!Layout::kWarpRow) {
    __shared__ T partial[kCount][kWarp];
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int warps = static_cast<int>(blockDim.x) / kWarp;
    __syncthreads();  // a previous call's readers are done
    if (lane == 0) {
      CLS_UNROLL
      for (int j = 0; j < kCount; ++j) {
        partial[j][warp] = value[j];
      }
    }
    __syncthreads();
    CLS_UNROLL
    for (int j = 0; j < kCount; ++j) {
      value[j] = warp_reduce<Op>(lane < warps ? partial[j][lane] : identity);
    }
  }
}

/// Threads of a block for rows of `vectors` vectors, `kept` a thread.
[[nodiscard]] inline unsigned row_threads(std::int64_t vectors, int kept) {
  return narrow<unsigned>(round_up<std::int64_t>(div_ceil<std::int64_t>(vectors, kept), kWarp));
}

/// fn(layout, launch configuration) with the layout that fits rows of `width` elements of T; `aligned` says that memory is.
template <class T, class Fn>
void with_row_layout(std::int64_t rows, std::int64_t width, bool aligned, const Fn& fn) {
  constexpr int kWidth = kVectorWidth<T>;
  const LaunchConfig warps{.grid = dim3(narrow<unsigned>(div_ceil<std::int64_t>(rows, kRowWarps))),
                           .block = dim3(kRowWarps * kWarp)};
  const auto blocks = [rows](unsigned threads) {
    return LaunchConfig{.grid = dim3(narrow<unsigned>(rows)), .block = dim3(threads)};
  };
  if (!aligned || width % kWidth != 0) {
    return width <= 4 * kWarp ? fn(RowLayout<1, 4, true>{}, warps)
           : width <= 4 * kMostRowThreads
               ? fn(RowLayout<1, 4, false>{}, blocks(row_threads(width, 4)))
               : fn(RowLayout<1, 0, false>{}, blocks(kMostRowThreads));
  }
  const std::int64_t vectors = width / kWidth;
  if (vectors <= kWarp) {
    fn(RowLayout<kWidth, 1, true>{}, warps);
  } else if (vectors <= 2 * kWarp) {
    fn(RowLayout<kWidth, 2, true>{}, warps);
  } else if (vectors <= 4 * kWarp) {
    fn(RowLayout<kWidth, 4, true>{}, warps);
  } else if (vectors <= kMostRowThreads) {
    fn(RowLayout<kWidth, 2, false>{}, blocks(row_threads(vectors, 2)));
  } else if (vectors <= 4 * kMostRowThreads) {
    fn(RowLayout<kWidth, 4, false>{}, blocks(row_threads(vectors, 4)));
  } else {
    fn(RowLayout<kWidth, 0, false>{}, blocks(kMostRowThreads));
  }
}

}  // namespace clausius::cuda
