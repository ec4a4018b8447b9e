// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of linear's bias gradient: column sums.
#include "core/cuda/column_sums.cuh"
#include "core/ops/linear/linear.h"

namespace clausius::ops {
namespace {

template <class T>
void linear_bias_gradient_cuda(const Tensor& dy_RN, Tensor& dbias_N, bool accumulate) {
  const Tensor dy = dy_RN.last_is_dense() ? dy_RN : dy_RN.contiguous();
  cuda::column_sums(
      dy.data<T>(), 1, dy.size(0), dy.size(1), 0, dy.stride(0),
      {.to = dbias_N.data<float>(), .to_step = dbias_N.stride(0), .accumulate = accumulate},
      dy.device());
}

CLS_KERNEL(linear_bias_gradient, kCuda, kF32, linear_bias_gradient_cuda<float>);
CLS_KERNEL(linear_bias_gradient, kCuda, kBf16, linear_bias_gradient_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
