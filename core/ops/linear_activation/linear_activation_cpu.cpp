// SPDX-License-Identifier: Apache-2.0
// linear_activation on the CPU: the product, then f over it. oneDNN can apply some f while it writes the product, which gained
// 0.6 % where nothing need be kept (docs/log.md) and covers neither every f nor our rounding.
#include "core/ops/linear_activation/linear_activation.h"
#include "core/ops/matmul/gemm.h"

namespace clausius::ops {
namespace {

void linear_activation_cpu(const Tensor& x_RM,
                           const Tensor& weight_NM,
                           const Tensor& bias_N,
                           const PointwiseForwardTable& f,
                           Tensor& pre_RN,
                           Tensor& y_RN) {
  Tensor& product = pre_RN ? pre_RN : y_RN;
  gemm(x_RM, weight_NM.transpose(0, 1), product, {.bias_N = bias_N ? bias_N.contiguous() : bias_N});
  f.run(kCpu, product.dtype(), product, y_RN);
}

CLS_KERNEL(linear_activation, kCpu, kF32, linear_activation_cpu);
CLS_KERNEL(linear_activation, kCpu, kBf16, linear_activation_cpu);

}  // namespace
}  // namespace clausius::ops
