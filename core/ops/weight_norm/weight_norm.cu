// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of weight_norm: a block of 256 for each row, sums in f64; what it reads twice is in cache.
#include "core/cuda/launch.cuh"
#include "core/cuda/runs.cuh"
#include "core/cuda/warp.cuh"
#include "core/ops/weight_norm/weight_norm.h"

namespace clausius::ops {
namespace {

constexpr int kThreads = 256;

struct Rows {
  std::int64_t columns = 0;
  const float* v = nullptr;
  std::int64_t v_step = 0;
};

Rows rows_of(const Tensor& v_MN) {
  return {.columns = v_MN.size(1), .v = v_MN.data<float>(), .v_step = v_MN.stride(0)};
}

cuda::LaunchConfig block_per_row(const Tensor& v_MN) {
  return {.grid = dim3(narrow<unsigned>(v_MN.size(0))), .block = dim3(kThreads)};
}

__device__ double row_product(const float* a, const float* b, std::int64_t count) {
  double sum = 0.0;
  CLS_UNROLL_4
  for (std::int64_t n = threadIdx.x; n < count; n += kThreads) {
    sum += static_cast<double>(a[n]) * static_cast<double>(b[n]);
  }
  return cuda::block_reduce<cuda::Add>(sum, 0.0);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    weight_norm_kernel(Rows rows, const float* gain, float* norms, T* w, std::int64_t w_step) {
  const std::int64_t row = blockIdx.x;
  const float* v = rows.v + row * rows.v_step;
  const double norm = sqrt(row_product(v, v, rows.columns));
  const auto factor = static_cast<float>(static_cast<double>(gain[row]) / norm);
  CLS_UNROLL_4
  for (std::int64_t n = threadIdx.x; n < rows.columns; n += kThreads) {
    w[row * w_step + n] = T(factor * v[n]);
  }
  if (threadIdx.x == 0) {
    norms[row] = static_cast<float>(norm);
  }
}

__global__ void __launch_bounds__(kThreads) weight_norm_products_kernel(Rows rows,
                                                                        const float* gradient,
                                                                        std::int64_t gradient_step,
                                                                        double* c) {
  const std::int64_t row = blockIdx.x;
  const double sum =
      row_product(rows.v + row * rows.v_step, gradient + row * gradient_step, rows.columns);
  if (threadIdx.x == 0) {
    c[row] += sum;
  }
}

__global__ void __launch_bounds__(kThreads) weight_norm_apply_kernel(Rows rows,
                                                                     const float* gain,
                                                                     const float* norms,
                                                                     const double* c,
                                                                     float* gradient,
                                                                     std::int64_t gradient_step) {
  const std::int64_t row = blockIdx.x;
  const auto norm = static_cast<double>(norms[row]);
  const double alpha = static_cast<double>(gain[row]) / norm;
  const auto along = static_cast<float>(-alpha * c[row] / (norm * norm));
  const float* v = rows.v + row * rows.v_step;
  float* to = gradient + row * gradient_step;
  CLS_UNROLL_4
  for (std::int64_t n = threadIdx.x; n < rows.columns; n += kThreads) {
    to[n] = fmaf(static_cast<float>(alpha), to[n], along * v[n]);
  }
}

__global__ void weight_norm_gain_gradient_kernel(std::int64_t rows,
                                                 const float* norms,
                                                 const double* c,
                                                 float* dgain) {
  for (std::int64_t m = cuda::global_index(); m < rows; m += cuda::global_threads()) {
    dgain[m] = static_cast<float>(c[m] / static_cast<double>(norms[m]));
  }
}

void weight_norm_cuda(const Tensor& v_MN, const Tensor& gain_M, Tensor& norm_M, Tensor& w_MN) {
  if (w_MN.dtype() == Dtype::kBf16) {
    cuda::launch(weight_norm_kernel<bf16>, block_per_row(v_MN), rows_of(v_MN), gain_M.data<float>(),
                 norm_M.data<float>(), w_MN.data<bf16>(), w_MN.stride(0));
  } else {
    cuda::launch(weight_norm_kernel<float>, block_per_row(v_MN), rows_of(v_MN),
                 gain_M.data<float>(), norm_M.data<float>(), w_MN.data<float>(), w_MN.stride(0));
  }
}

void weight_norm_products_cuda(const Tensor& v_MN, const Tensor& gradient_MN, Tensor& c_M) {
  cuda::launch(weight_norm_products_kernel, block_per_row(v_MN), rows_of(v_MN),
               gradient_MN.data<float>(), gradient_MN.stride(0), c_M.data<double>());
}

void weight_norm_apply_cuda(const Tensor& v_MN,
                            const Tensor& gain_M,
                            const Tensor& norm_M,
                            const Tensor& c_M,
                            Tensor& gradient_MN) {
  cuda::launch(weight_norm_apply_kernel, block_per_row(v_MN), rows_of(v_MN), gain_M.data<float>(),
               norm_M.data<float>(), c_M.data<double>(), gradient_MN.data<float>(),
               gradient_MN.stride(0));
}

void weight_norm_gain_gradient_cuda(const Tensor& norm_M, const Tensor& c_M, Tensor& dgain_M) {
  cuda::launch(weight_norm_gain_gradient_kernel, cuda::grid_over(norm_M.numel()), norm_M.numel(),
               norm_M.data<float>(), c_M.data<double>(), dgain_M.data<float>());
}

CLS_KERNEL(weight_norm, kCuda, kF32, weight_norm_cuda);
CLS_KERNEL(weight_norm_products, kCuda, kF32, weight_norm_products_cuda);
CLS_KERNEL(weight_norm_apply, kCuda, kF32, weight_norm_apply_cuda);
CLS_KERNEL(weight_norm_gain_gradient, kCuda, kF32, weight_norm_gain_gradient_cuda);

}  // namespace
}  // namespace clausius::ops
