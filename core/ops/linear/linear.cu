// SPDX-License-Identifier: Apache-2.0
// linear on the CUDA device: one product with the bias in it.
#include "core/cuda/gemm.h"
#include "core/ops/linear/linear.h"

namespace clausius::ops {
namespace {

void linear_forward_cuda(const Tensor& x_RM,
                         const Tensor& weight_NM,
                         const Tensor& bias_N,
                         Tensor& y_RN,
                         const Tensor& alpha) {
  cuda::gemm(x_RM, weight_NM.transpose(0, 1), y_RN,
             {.alpha = 1.0, .accumulate = false, .bias_N = bias_N, .factor = alpha});
}

CLS_KERNEL(linear_forward, kCuda, kF32, linear_forward_cuda);
CLS_KERNEL(linear_forward, kCuda, kBf16, linear_forward_cuda);

}  // namespace
}  // namespace clausius::ops
