// SPDX-License-Identifier: Apache-2.0
// linear on the CUDA device: one product with the bias in it. Its bias gradient: f32 sums of fixed runs of rows, added in f64.
#include "core/cuda/gemm.h"
#include "core/cuda/launch.cuh"
#include "core/cuda/vec.cuh"
#include "core/ops/linear/linear.h"

namespace clausius::ops {
namespace {

// A block of both kernels: 32 threads side by side, 8 slices of rows.
constexpr int kLanes = 32;
constexpr int kSlices = 8;
// Rows of a run: 8 loads of 16 bytes in flight a thread, and partial sums that cost 3 % of reading a bf16 dy.
constexpr std::int64_t kRunRows = 64;

// partial[run][column] = sum over the run's rows. Grid: runs x tiles of 32 W columns.
template <class T, int W>
__global__ void __launch_bounds__(kLanes* kSlices) run_sums_kernel(
    std::int64_t rows, std::int64_t width, std::int64_t step, const T* dy, float* partial) {
  __shared__ float sums[kSlices][W * kLanes];
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int slice = static_cast<int>(threadIdx.x) / kLanes;
  const std::int64_t run = blockIdx.x;
  const std::int64_t tile = std::int64_t{blockIdx.y} * kLanes * W;
  const std::int64_t column = tile + lane * W;
  cuda::Floats<W> sum{};
  if (column < width) {
    const std::int64_t end = rows < (run + 1) * kRunRows ? rows : (run + 1) * kRunRows;
    for (std::int64_t row = run * kRunRows + slice; row < end; row += kSlices) {
      const cuda::Floats<W> x = cuda::Part<T, W>::load(dy + row * step + column);
      for (int i = 0; i < W; ++i) {
        sum.value[i] += x.value[i];
      }
    }
  }
  for (int i = 0; i < W; ++i) {
    sums[slice][i * kLanes + lane] = sum.value[i];
  }
  __syncthreads();
  const std::int64_t to = tile + lane * W + slice;
  if (slice < W && to < width) {
    float total = 0;
    for (int from = 0; from < kSlices; ++from) {
      total += sums[from][slice * kLanes + lane];
    }
    partial[run * width + to] = total;
  }
}

// dbias[column] (+)= sum over runs, in f64. Grid: tiles of 32 columns.
__global__ void __launch_bounds__(kLanes* kSlices) add_runs_kernel(std::int64_t runs,
                                                                   std::int64_t width,
                                                                   const float* partial,
                                                                   float* dbias,
                                                                   std::int64_t step,
                                                                   bool accumulate) {
  __shared__ double sums[kSlices][kLanes];
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int slice = static_cast<int>(threadIdx.x) / kLanes;
  const std::int64_t column = std::int64_t{blockIdx.x} * kLanes + lane;
  double sum = 0;
  if (column < width) {
    for (std::int64_t run = slice; run < runs; run += kSlices) {
      sum += static_cast<double>(partial[run * width + column]);
    }
  }
  sums[slice][lane] = sum;
  __syncthreads();
  if (slice == 0 && column < width) {
    double total = accumulate ? static_cast<double>(dbias[column * step]) : 0.0;
    for (int from = 0; from < kSlices; ++from) {
      total += sums[from][lane];
    }
    dbias[column * step] = static_cast<float>(total);
  }
}

template <class T, int W>
void launch_run_sums(const Tensor& dy, Tensor& partial) {
  const std::int64_t width = dy.size(1);
  cuda::launch(run_sums_kernel<T, W>,
               {.grid = dim3(narrow<unsigned>(partial.size(0)),
                             narrow<unsigned>(div_ceil<std::int64_t>(width, kLanes * W))),
                .block = dim3(kLanes * kSlices)},
               dy.size(0), width, dy.stride(0), dy.data<T>(), partial.data<float>());
}

template <class T>
void linear_bias_gradient_cuda(const Tensor& dy_RN, Tensor& dbias_N, bool accumulate) {
  constexpr int kWidth = cuda::kVectorWidth<T>;
  const Tensor dy = dy_RN.last_is_dense() ? dy_RN : dy_RN.contiguous();
  const std::int64_t width = dy.size(1);
  const std::int64_t runs = div_ceil(dy.size(0), kRunRows);
  Tensor partial = Tensor::empty({runs, width}, Dtype::kF32, dy.device());
  const bool vectors =
      width % kWidth == 0 && dy.stride(0) % kWidth == 0 && cuda::aligned_for_vectors(dy.raw());
  vectors ? launch_run_sums<T, kWidth>(dy, partial) : launch_run_sums<T, 1>(dy, partial);
  cuda::launch(add_runs_kernel,
               {.grid = dim3(narrow<unsigned>(div_ceil<std::int64_t>(width, kLanes))),
                .block = dim3(kLanes * kSlices)},
               runs, width, partial.data<float>(), dbias_N.data<float>(), dbias_N.stride(0),
               accumulate);
}

void linear_forward_cuda(const Tensor& x_RM,
                         const Tensor& weight_NM,
                         const Tensor& bias_N,
                         Tensor& y_RN) {
  cuda::gemm(x_RM, weight_NM.transpose(0, 1), y_RN, {.bias_N = bias_N});
}

CLS_KERNEL(linear_forward, kCuda, kF32, linear_forward_cuda);
CLS_KERNEL(linear_forward, kCuda, kBf16, linear_forward_cuda);
CLS_KERNEL(linear_bias_gradient, kCuda, kF32, linear_bias_gradient_cuda<float>);
CLS_KERNEL(linear_bias_gradient, kCuda, kBf16, linear_bias_gradient_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
