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
  const float* u = nullptr;
  const float* v = nullptr;
  const float* sigma = nullptr;
  const float* gamma = nullptr;  // null: 1
  double* c = nullptr;
  std::int32_t parts = 0;  // of c
  std::int32_t slot = 0;
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
    sigma_totals_kernel(SigmaBatch batch, const double* partial) {
  const cuda::MatrixItem& m = batch.matrix[blockIdx.x];
  const SigmaItem& item = batch.item[blockIdx.x];
  const std::int64_t chunks = (m.rows + kChunkRows - 1) / kChunkRows;
  double sum = 0.0;
  for (std::int64_t i = threadIdx.x; i < chunks; i += kMatrixThreads) {
    sum += partial[m.first_chunk + i];
  }
  sum = cuda::block_reduce<cuda::Add>(sum, 0.0);
  if (threadIdx.x == 0) {
    item.c[item.slot] = sum;
  }
}

__global__ void __launch_bounds__(kMatrixThreads)
    sigma_apply_kernel(SigmaBatch batch, bool grad_through_sigma) {
  const int e = cuda::matrix_of_block(batch);
  const cuda::MatrixItem& m = batch.matrix[e];
  const SigmaItem& item = batch.item[e];
  double c = 0.0;
  for (int part = 0; part < item.parts; ++part) {
    c += item.c[part];
  }
  const auto norm = static_cast<double>(*item.sigma);
  const double alpha = (item.gamma != nullptr ? static_cast<double>(*item.gamma) : 1.0) / norm;
  const double along = grad_through_sigma ? -alpha * (c / norm) : 0.0;
  const std::int64_t first = (blockIdx.x - m.first_chunk) * kChunkRows;
  const std::int64_t end = first + kChunkRows < m.rows ? first + kChunkRows : m.rows;
  for (std::int64_t row = first; row < end; ++row) {
    float* gradient = item.gradient + row * item.gradient_step;
    const auto factor = static_cast<float>(along * static_cast<double>(item.v[row]));
    CLS_UNROLL_4
    for (std::int64_t n = threadIdx.x; n < m.columns; n += kMatrixThreads) {
      gradient[n] = fmaf(static_cast<float>(alpha), gradient[n], factor * item.u[n]);
    }
  }
}

SigmaItem item_of(const SigmaMatrix& matrix) {
  Tensor gradient = matrix.gradient_MN;
  Tensor c = matrix.c_S;
  return {.weight = matrix.weight_MN.data<float>(),
          .gradient = gradient.data<float>(),
          .weight_step = narrow<std::int32_t>(matrix.weight_MN.stride(0)),
          .gradient_step = narrow<std::int32_t>(gradient.stride(0)),
          .u = matrix.u_N.data<float>(),
          .v = matrix.v_M.data<float>(),
          .sigma = matrix.sigma.data<float>(),
          .gamma = matrix.gamma ? matrix.gamma.data<float>() : nullptr,
          .c = c.data<double>(),
          .parts = narrow<std::int32_t>(c.numel()),
          .slot = narrow<std::int32_t>(matrix.slot)};
}

template <class Fn>
void for_each_batch(std::span<const SigmaMatrix> matrices, const Fn& fn) {
  cuda::for_each_matrix_batch<SigmaItem>(
      std::ssize(matrices),
      [&](std::int64_t e) { return matrices[static_cast<std::size_t>(e)].weight_MN.shape(); },
      [&](std::int64_t e) { return item_of(matrices[static_cast<std::size_t>(e)]); }, fn);
}

void sigma_products_cuda(std::span<const SigmaMatrix> matrices) {
  for_each_batch(matrices, [&](const SigmaBatch& batch) {
    Tensor partial = Tensor::empty({batch.chunks}, Dtype::kF64, matrices[0].c_S.device());
    cuda::launch(sigma_products_kernel, cuda::block_per_chunk(batch), batch,
                 partial.data<double>());
    cuda::launch(sigma_totals_kernel, cuda::block_per_matrix(batch), batch, partial.data<double>());
  });
}

void sigma_apply_cuda(std::span<const SigmaMatrix> matrices, bool grad_through_sigma) {
  for_each_batch(matrices, [&](const SigmaBatch& batch) {
    cuda::launch(sigma_apply_kernel, cuda::block_per_chunk(batch), batch, grad_through_sigma);
  });
}

CLS_KERNEL(sigma_products, kCuda, kF32, sigma_products_cuda);
CLS_KERNEL(sigma_apply, kCuda, kF32, sigma_apply_cuda);

}  // namespace
}  // namespace clausius::ops
