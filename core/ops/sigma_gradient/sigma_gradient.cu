// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of sigma_products and sigma_apply: a block of 256 for every sixteen rows of a matrix; the products' chunks are added
// in order in f64.
#include "core/cuda/matrix_batch.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/sigma_gradient/sigma_gradient.h"

namespace clausius::ops {
namespace {

using cuda::kChunkRows;
using cuda::kMatrixThreads;

struct SigmaItem {
  const float* weight = nullptr;
  float* gradient = nullptr;
  std::int32_t weight_step = 0;
  std::int32_t gradient_step = 0;
  const float* gamma = nullptr;
  float* dgamma = nullptr;
};

using SigmaBatch = cuda::MatrixBatch<SigmaItem>;

__global__ void __launch_bounds__(kMatrixThreads)
    sigma_products_kernel(SigmaBatch batch, double* partial) {
  const int e = cuda::matrix_of_block(batch);
  const cuda::MatrixItem& m = batch.matrix[e];
  const SigmaItem& item = batch.item[e];
  const std::int64_t first = (blockIdx.x - m.first_chunk) * kChunkRows;
  const std::int64_t end = first + kChunkRows < m.rows ? first + kChunkRows : m.rows;
  double sum = 0.0;
  for (std::int64_t row = first; row < end; ++row) {
    const float* weight = item.weight + row * item.weight_step;
    const float* gradient = item.gradient + row * item.gradient_step;
    CLS_UNROLL_4
    for (std::int64_t n = threadIdx.x; n < m.columns; n += kMatrixThreads) {
      sum += static_cast<double>(weight[n]) * static_cast<double>(gradient[n]);
    }
  }
  sum = cuda::block_reduce<cuda::Add>(sum, 0.0);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
  }
}

__global__ void __launch_bounds__(kMatrixThreads)
    sigma_totals_kernel(SigmaBatch batch, const double* partial, double* c) {
  const cuda::MatrixItem& m = batch.matrix[blockIdx.x];
  const std::int64_t chunks = (m.rows + kChunkRows - 1) / kChunkRows;
  double sum = 0.0;
  for (std::int64_t i = threadIdx.x; i < chunks; i += kMatrixThreads) {
    sum += partial[m.first_chunk + i];
  }
  sum = cuda::block_reduce<cuda::Add>(sum, 0.0);
  if (threadIdx.x == 0) {
    c[batch.first + blockIdx.x] = sum;
  }
}

struct SigmaState {
  const float* u;
  const float* v;
  const float* sigma;
  const double* c;
};

__global__ void __launch_bounds__(kMatrixThreads)
    sigma_apply_kernel(SigmaBatch batch, SigmaState state, bool grad_through_sigma) {
  const int e = cuda::matrix_of_block(batch);
  const cuda::MatrixItem& m = batch.matrix[e];
  const SigmaItem& item = batch.item[e];
  const auto norm = static_cast<double>(state.sigma[batch.first + e]);
  const double dgamma = state.c[batch.first + e] / norm;
  const double alpha = static_cast<double>(*item.gamma) / norm;
  const double along = grad_through_sigma ? -alpha * dgamma : 0.0;
  const std::int64_t first = (blockIdx.x - m.first_chunk) * kChunkRows;
  const std::int64_t end = first + kChunkRows < m.rows ? first + kChunkRows : m.rows;
  const float* u = state.u + m.u_at;
  for (std::int64_t row = first; row < end; ++row) {
    float* gradient = item.gradient + row * item.gradient_step;
    const auto factor = static_cast<float>(along * static_cast<double>(state.v[m.v_at + row]));
    CLS_UNROLL_4
    for (std::int64_t n = threadIdx.x; n < m.columns; n += kMatrixThreads) {
      gradient[n] = fmaf(static_cast<float>(alpha), gradient[n], factor * u[n]);
    }
  }
  if (first == 0 && threadIdx.x == 0) {
    *item.dgamma = static_cast<float>(dgamma);
  }
}

SigmaItem item_of(const SigmaMatrix& matrix) {
  Tensor gradient = matrix.gradient_MN;
  Tensor dgamma = matrix.dgamma;
  return {.weight = matrix.weight_MN.data<float>(),
          .gradient = gradient.data<float>(),
          .weight_step = narrow<std::int32_t>(matrix.weight_MN.stride(0)),
          .gradient_step = narrow<std::int32_t>(gradient.stride(0)),
          .gamma = matrix.gamma.data<float>(),
          .dgamma = dgamma.data<float>()};
}

template <class Fn>
void for_each_batch(std::span<const SigmaMatrix> matrices, const Fn& fn) {
  cuda::for_each_matrix_batch<SigmaItem>(
      std::ssize(matrices),
      [&](std::int64_t e) { return matrices[static_cast<std::size_t>(e)].weight_MN.shape(); },
      [&](std::int64_t e) { return item_of(matrices[static_cast<std::size_t>(e)]); }, fn);
}

void sigma_products_cuda(std::span<const SigmaMatrix> matrices, Tensor& c) {
  for_each_batch(matrices, [&](const SigmaBatch& batch) {
    Tensor partial = Tensor::empty({batch.chunks}, Dtype::kF64, c.device());
    cuda::launch(sigma_products_kernel, cuda::block_per_chunk(batch), batch,
                 partial.data<double>());
    cuda::launch(sigma_totals_kernel, cuda::block_per_matrix(batch), batch, partial.data<double>(),
                 c.data<double>());
  });
}

void sigma_apply_cuda(std::span<const SigmaMatrix> matrices,
                      const Tensor& u,
                      const Tensor& v,
                      const Tensor& sigma,
                      const Tensor& c,
                      bool grad_through_sigma) {
  const SigmaState state{.u = u.data<float>(),
                         .v = v.data<float>(),
                         .sigma = sigma.data<float>(),
                         .c = c.data<double>()};
  for_each_batch(matrices, [&](const SigmaBatch& batch) {
    cuda::launch(sigma_apply_kernel, cuda::block_per_chunk(batch), batch, state,
                 grad_through_sigma);
  });
}

CLS_KERNEL(sigma_products, kCuda, kF32, sigma_products_cuda);
CLS_KERNEL(sigma_apply, kCuda, kF32, sigma_apply_cuda);

}  // namespace
}  // namespace clausius::ops
