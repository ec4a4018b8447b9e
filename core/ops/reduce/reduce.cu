// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of sums and maxima over the middle of [O, N, I]: rows by warps and blocks, columns by core/cuda/column_sums.cuh.
#include "core/cuda/column_sums.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/reduce/reduce.h"

namespace clausius::ops {
namespace {

// Elements of a row that a block of 256 sums.
constexpr std::int64_t kPiece = 1 << 15;
constexpr int kThreads = 256;

// The block's (or, for short rows, the warp's) sum of x[0, n), f64 every few terms.
template <class T>
__device__ double thread_sum(std::int64_t n, bool aligned, const T* x, int thread, int threads) {
  constexpr int kWidth = cuda::kVectorWidth<T>;
  const std::int64_t vectors = aligned ? n / kWidth : 0;
  double sum = 0.0;
  CLS_UNROLL_4
  for (std::int64_t i = thread; i < vectors; i += threads) {
    const auto part = cuda::load_floats<kWidth>(x + i * kWidth);
    float total = 0.0F;
    CLS_UNROLL
    for (const float value : part.value) {
      total += value;
    }
    sum += static_cast<double>(total);
  }
  for (std::int64_t i = vectors * kWidth + thread; i < n; i += threads) {
    sum += static_cast<double>(static_cast<float>(x[i]));
  }
  return sum;
}

template <class T>
__global__ void sum_short_rows_kernel(
    std::int64_t rows, std::int64_t width, bool aligned, double factor, const T* x, float* y) {
  const std::int64_t row = cuda::global_index() / cuda::kWarp;
  if (row >= rows) {
    return;  // a whole warp
  }
  const int lane = static_cast<int>(threadIdx.x) % cuda::kWarp;
  const double sum =
      cuda::warp_reduce<cuda::Add>(thread_sum(width, aligned, x + row * width, lane, cuda::kWarp));
  if (lane == 0) {
    y[row] = static_cast<float>(factor * sum);
  }
}

template <class T>
__global__ void sum_pieces_kernel(
    std::int64_t width, std::int64_t pieces, bool aligned, const T* x, double* partial) {
  const cuda::Split at = cuda::split(blockIdx.x, pieces);
  const std::int64_t first = at.rest * kPiece;
  const std::int64_t length = width - first < kPiece ? width - first : kPiece;
  const double sum =
      cuda::block_reduce<cuda::Add>(thread_sum(length, aligned, x + at.quotient * width + first,
                                               static_cast<int>(threadIdx.x), kThreads),
                                    0.0);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
  }
}

__global__ void sum_of_pieces_kernel(
    std::int64_t rows, std::int64_t pieces, double factor, const double* partial, float* y) {
  const std::int64_t row = cuda::global_index() / cuda::kWarp;
  if (row >= rows) {
    return;  // a whole warp
  }
  const int lane = static_cast<int>(threadIdx.x) % cuda::kWarp;
  double sum = 0.0;
  for (std::int64_t piece = lane; piece < pieces; piece += cuda::kWarp) {
    sum += partial[row * pieces + piece];
  }
  sum = cuda::warp_reduce<cuda::Add>(sum);
  if (lane == 0) {
    y[row] = static_cast<float>(factor * sum);
  }
}

template <class T>
void sum_rows(const Tensor& x, Tensor& y, double factor) {
  const std::int64_t rows = x.size(0);
  const std::int64_t width = x.size(1);
  const bool aligned =
      cuda::aligned_for_vectors(x.raw()) && (rows == 1 || width % cuda::kVectorWidth<T> == 0);
  const auto warps = [&] { return cuda::grid_over(rows * cuda::kWarp, kThreads, INT32_MAX); };
  if (width <= 2048) {
    return cuda::launch(sum_short_rows_kernel<T>, warps(), rows, width, aligned, factor,
                        x.data<T>(), y.data<float>());
  }
  const std::int64_t pieces = div_ceil(width, kPiece);
  Tensor partial = Tensor::empty({rows, pieces}, Dtype::kF64, x.device());
  cuda::launch(
      sum_pieces_kernel<T>,
      cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(rows * pieces)), .block = dim3(kThreads)},
      width, pieces, aligned, x.data<T>(), partial.data<double>());
  cuda::launch(sum_of_pieces_kernel, warps(), rows, pieces, factor, partial.data<double>(),
               y.data<float>());
}

template <class T>
void sum_cuda(const Tensor& x, Tensor& y, double factor) {
  if (x.size(2) == 1) {
    return sum_rows<T>(x, y, factor);
  }
  cuda::column_sums(x.data<T>(), x.size(0), x.size(1), x.size(2), x.size(1) * x.size(2), x.size(2),
                    {.to = y.data<float>(), .factor = factor}, x.device());
}

// The larger of two with its index: NaN is largest of all, of equals the first.
struct Candidate {
  float value;
  std::int64_t index;

  __device__ void meet(float other, std::int64_t place) {
    const bool nan = value != value;
    const bool other_nan = other != other;
    const bool equal = (nan && other_nan) || value == other;
    const bool larger = (other_nan && !nan) || other > value;
    if (place >= 0 && (index < 0 || larger || (equal && place < index))) {
      value = other;
      index = place;
    }
  }
};

// A block of 256 a row.
template <class T>
__global__ void max_rows_kernel(std::int64_t width, const T* x, float* value, std::int64_t* index) {
  __shared__ float values[cuda::kWarp];
  __shared__ std::int64_t places[cuda::kWarp];
  const T* row = x + blockIdx.x * width;
  Candidate best{.value = 0.0F, .index = -1};
  for (std::int64_t i = threadIdx.x; i < width; i += kThreads) {
    best.meet(static_cast<float>(row[i]), i);
  }
  for (int step = cuda::kWarp / 2; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(cuda::kAllLanes, best.value, step);
    const auto place = static_cast<std::int64_t>(
        __shfl_xor_sync(cuda::kAllLanes, static_cast<long long>(best.index), step));
    best.meet(other, place);
  }
  if (threadIdx.x % cuda::kWarp == 0) {
    values[threadIdx.x / cuda::kWarp] = best.value;
    places[threadIdx.x / cuda::kWarp] = best.index;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < kThreads / cuda::kWarp; ++warp) {
      best.meet(values[warp], places[warp]);
    }
    value[blockIdx.x] = best.value;
    index[blockIdx.x] = best.index;
  }
}

// A thread a column: neighbours read neighbours.
template <class T>
__global__ void max_columns_kernel(std::int64_t slabs,
                                   std::int64_t rows,
                                   std::int64_t width,
                                   const T* x,
                                   float* value,
                                   std::int64_t* index) {
  for (std::int64_t item = cuda::global_index(); item < slabs * width;
       item += cuda::global_threads()) {
    const cuda::Split at = cuda::split(item, width);
    const T* column = x + at.quotient * rows * width + at.rest;
    Candidate best{.value = static_cast<float>(column[0]), .index = 0};
    CLS_UNROLL_4
    for (std::int64_t row = 1; row < rows; ++row) {
      best.meet(static_cast<float>(column[row * width]), row);
    }
    value[item] = best.value;
    index[item] = best.index;
  }
}

template <class T>
void max_cuda(const Tensor& x, Tensor& value, Tensor& index) {
  if (x.size(2) == 1) {
    return cuda::launch(
        max_rows_kernel<T>,
        cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(x.size(0))), .block = dim3(kThreads)},
        x.size(1), x.data<T>(), value.data<float>(), index.data<std::int64_t>());
  }
  cuda::launch(max_columns_kernel<T>, cuda::grid_over(value.numel()), x.size(0), x.size(1),
               x.size(2), x.data<T>(), value.data<float>(), index.data<std::int64_t>());
}

__global__ void max_backward_kernel(std::int64_t slabs,
                                    std::int64_t rows,
                                    std::int64_t width,
                                    const float* dy,
                                    const std::int64_t* index,
                                    float* dx) {
  for (std::int64_t item = cuda::global_index(); item < slabs * rows * width;
       item += cuda::global_threads()) {
    const cuda::Split outer = cuda::split(item, width);
    const cuda::Split slab = cuda::split(outer.quotient, rows);
    const std::int64_t from = slab.quotient * width + outer.rest;
    dx[item] = index[from] == slab.rest ? dy[from] : 0.0F;
  }
}

void max_backward_cuda(const Tensor& dy, const Tensor& index, Tensor& dx) {
  cuda::launch(max_backward_kernel, cuda::grid_over(dx.numel()), dx.size(0), dx.size(1), dx.size(2),
               dy.data<float>(), index.data<std::int64_t>(), dx.data<float>());
}

CLS_KERNEL(sum, kCuda, kF32, sum_cuda<float>);
CLS_KERNEL(sum, kCuda, kBf16, sum_cuda<bf16>);
CLS_KERNEL(max, kCuda, kF32, max_cuda<float>);
CLS_KERNEL(max, kCuda, kBf16, max_cuda<bf16>);
CLS_KERNEL(max_backward, kCuda, kF32, max_backward_cuda);

}  // namespace
}  // namespace clausius::ops
