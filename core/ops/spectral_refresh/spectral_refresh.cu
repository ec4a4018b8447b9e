// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of spectral_refresh: a block multiplies sixteen rows by u and, while they are in cache, adds them up with the
// products as factors; the blocks' sums are added in order; a block a matrix normalises. f64 sums throughout.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/cuda/column_sums.cuh"
#include "core/cuda/matrix_batch.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/spectral_refresh/spectral_refresh.h"

namespace clausius::ops {
namespace {

using cuda::kChunkRows;
using cuda::kColumnLanes;
using cuda::kMatrixThreads;
using cuda::kRowLanes;
using cuda::kWarp;

struct SpectralItem {
  const float* weight = nullptr;
  std::int64_t row_step = 0;
  std::int64_t partial_at = 0;
  std::int64_t first_tile = 0;  // of kColumnLanes columns, among those of the launch
};

using SpectralBatch = cuda::MatrixBatch<SpectralItem>;

struct SpectralBuffers {
  float* u;
  float* v;
  float* sigma;
  double* t;        // [sum M]
  double* r;        // [sum N]
  double* partial;  // a row of N for each chunk; null where r is not wanted
};

// t = W u for the chunk's rows, a warp a row; then the chunk's sum of t_i W_i, a thread a column.
__global__ void __launch_bounds__(kMatrixThreads)
    spectral_rows_kernel(SpectralBatch batch, SpectralBuffers buffers) {
  __shared__ double products[kChunkRows];
  const int e = cuda::matrix_of_block(batch);
  const cuda::MatrixItem& m = batch.matrix[e];
  const SpectralItem& item = batch.item[e];
  const std::int64_t chunk = blockIdx.x - m.first_chunk;
  const std::int64_t first = chunk * kChunkRows;
  const std::int64_t left = m.rows - first;
  const int rows = left < kChunkRows ? static_cast<int>(left) : kChunkRows;
  const float* weight = item.weight + first * item.row_step;
  const float* u = buffers.u + m.u_at;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int row = static_cast<int>(threadIdx.x) / kWarp; row < rows; row += kMatrixThreads / kWarp) {
    const float* from = weight + row * item.row_step;
    double sum = 0.0;
    CLS_UNROLL_4
    for (std::int64_t n = lane; n < m.columns; n += kWarp) {
      sum += static_cast<double>(from[n]) * static_cast<double>(u[n]);
    }
    sum = cuda::warp_reduce<cuda::Add>(sum);
    if (lane == 0) {
      products[row] = sum;
      buffers.t[m.v_at + first + row] = sum;
    }
  }
  if (buffers.partial == nullptr) {
    return;
  }
  __syncthreads();
  double* to = buffers.partial + item.partial_at + chunk * m.columns;
  for (std::int64_t n = threadIdx.x; n < m.columns; n += kMatrixThreads) {
    double sum = 0.0;
    CLS_UNROLL_4
    for (int row = 0; row < rows; ++row) {
      sum += products[row] * static_cast<double>(weight[row * item.row_step + n]);
    }
    to[n] = sum;
  }
}

// r = the chunks' sums in order: a block of 32 columns by 8 runs of chunks.
__global__ void __launch_bounds__(kColumnLanes* kRowLanes)
    spectral_columns_kernel(SpectralBatch batch, SpectralBuffers buffers) {
  __shared__ double sums[kRowLanes][kColumnLanes];
  int e = 0;
  while (e + 1 < batch.count && batch.item[e + 1].first_tile <= blockIdx.x) {
    ++e;
  }
  const cuda::MatrixItem& m = batch.matrix[e];
  const SpectralItem& item = batch.item[e];
  const std::int64_t column = (blockIdx.x - item.first_tile) * kColumnLanes + threadIdx.x;
  const std::int64_t chunks = (m.rows + kChunkRows - 1) / kChunkRows;
  const std::int64_t run = (chunks + kRowLanes - 1) / kRowLanes;
  const std::int64_t begin = static_cast<std::int64_t>(threadIdx.y) * run;
  const std::int64_t end = begin + run < chunks ? begin + run : chunks;
  double sum = 0.0;
  if (column < m.columns) {
    const double* from = buffers.partial + item.partial_at + column;
    CLS_UNROLL_4
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      sum += from[chunk * m.columns];
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && column < m.columns) {
    double total = 0.0;
    CLS_UNROLL
    for (int lane = 0; lane < kRowLanes; ++lane) {
      total += sums[lane][threadIdx.x];
    }
    buffers.r[m.u_at + column] = total;
  }
}

__device__ double block_norm(const double* x, std::int64_t count) {
  double sum = 0.0;
  CLS_UNROLL_4
  for (std::int64_t i = threadIdx.x; i < count; i += kMatrixThreads) {
    sum += x[i] * x[i];
  }
  return sqrt(cuda::block_reduce<cuda::Add>(sum, 0.0));
}

__device__ bool is_divisor(double norm) {
  return norm > 0.0 && norm <= 1.7976931348623157e308;
}

// v = t / |t|, u = r / |r|, sigma = |r| / |t|; without `update` sigma = |t|.
__global__ void __launch_bounds__(kMatrixThreads)
    spectral_finish_kernel(SpectralBatch batch, SpectralBuffers buffers, bool update) {
  const int e = static_cast<int>(blockIdx.x);
  const cuda::MatrixItem& m = batch.matrix[e];
  const double* t = buffers.t + m.v_at;
  const double v_norm = block_norm(t, m.rows);
  double sigma = v_norm;
  if (update && is_divisor(v_norm)) {
    const double* r = buffers.r + m.u_at;
    const double u_norm = block_norm(r, m.columns);
    sigma = u_norm / v_norm;
    for (std::int64_t i = threadIdx.x; is_divisor(sigma) && i < m.columns; i += kMatrixThreads) {
      buffers.u[m.u_at + i] = static_cast<float>(r[i] / u_norm);
    }
  }
  const bool usable = is_divisor(sigma);
  for (std::int64_t i = threadIdx.x; i < m.rows; i += kMatrixThreads) {
    buffers.v[m.v_at + i] = usable ? static_cast<float>(t[i] / v_norm) : 0.0F;
  }
  if (threadIdx.x == 0) {
    buffers.sigma[batch.first + e] = usable || sigma == 0.0
                                         ? static_cast<float>(sigma)
                                         : std::numeric_limits<float>::quiet_NaN();
  }
}

void refresh_batch(SpectralBatch& batch, SpectralBuffers buffers, Device device, int iterations) {
  std::int64_t partials = 0;
  std::int64_t tiles = 0;
  for (int e = 0; e < batch.count; ++e) {
    const cuda::MatrixItem& m = batch.matrix[e];
    batch.item[e].partial_at = partials;
    batch.item[e].first_tile = tiles;
    partials += div_ceil<std::int64_t>(m.rows, kChunkRows) * m.columns;
    tiles += div_ceil<std::int64_t>(m.columns, kColumnLanes);
  }
  const bool update = iterations > 0;
  Tensor partial;
  if (update) {
    partial = Tensor::empty({partials}, Dtype::kF64, device);
    buffers.partial = partial.data<double>();
  }
  for (int i = 0; i < std::max(1, iterations); ++i) {
    cuda::launch(spectral_rows_kernel, cuda::block_per_chunk(batch), batch, buffers);
    if (update) {
      cuda::launch(spectral_columns_kernel,
                   cuda::LaunchConfig{.grid = dim3(narrow<unsigned>(tiles)),
                                      .block = dim3(kColumnLanes, kRowLanes)},
                   batch, buffers);
    }
    cuda::launch(spectral_finish_kernel, cuda::block_per_matrix(batch), batch, buffers, update);
  }
}

void spectral_refresh_cuda(
    Matrices weights, Tensor& u, Tensor& v, Tensor& sigma, int power_iterations) {
  Tensor t = Tensor::empty({v.numel()}, Dtype::kF64, v.device());
  Tensor r = Tensor::empty({u.numel()}, Dtype::kF64, u.device());
  const SpectralBuffers buffers{.u = u.data<float>(),
                                .v = v.data<float>(),
                                .sigma = sigma.data<float>(),
                                .t = t.data<double>(),
                                .r = r.data<double>(),
                                .partial = nullptr};
  const auto matrix = [&](std::int64_t e) -> const Tensor& {
    return weights[static_cast<std::size_t>(e)];
  };
  cuda::for_each_matrix_batch<SpectralItem>(
      std::ssize(weights), [&](std::int64_t e) { return matrix(e).shape(); },
      [&](std::int64_t e) {
        return SpectralItem{.weight = matrix(e).data<float>(), .row_step = matrix(e).stride(0)};
      },
      [&](SpectralBatch& batch) { refresh_batch(batch, buffers, u.device(), power_iterations); });
}

CLS_KERNEL(spectral_refresh, kCuda, kF32, spectral_refresh_cuda);

}  // namespace
}  // namespace clausius::ops
