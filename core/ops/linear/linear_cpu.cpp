// SPDX-License-Identifier: Apache-2.0
// linear on the CPU: one product with the bias in it; column sums for its gradient.
#include "core/ops/linear/linear.h"
#include "core/ops/matmul/gemm.h"

namespace clausius::ops {
namespace {

void linear_forward_cpu(const Tensor& x_RM,
                        const Tensor& weight_NM,
                        const Tensor& bias_N,
                        Tensor& y_RN,
                        const Tensor& alpha) {
  gemm(x_RM, weight_NM.transpose(0, 1), y_RN,
       {.bias_N = bias_N ? bias_N.contiguous() : bias_N, .factor = alpha});
}

CLS_KERNEL(linear_forward, kCpu, kF32, linear_forward_cpu);
CLS_KERNEL(linear_forward, kCpu, kBf16, linear_forward_cpu);

}  // namespace
}  // namespace clausius::ops
