// SPDX-License-Identifier: Apache-2.0
// linear_activation on the CUDA device: the product with the bias in it, then f over it. Of cuBLASLt's epilogues, GELU says neither
// which formula it takes nor how well it keeps to it, and RELU keeps for the backward pass a bit a value, not the product; both would
// read a bias of bf16.
#include "core/cuda/gemm.h"
#include "core/ops/linear_activation/linear_activation.h"

namespace clausius::ops {
namespace {

void linear_activation_cuda(const Tensor& x_RM,
                            const Tensor& weight_NM,
                            const Tensor& bias_N,
                            const PointwiseForwardTable& f,
                            Tensor& pre_RN,
                            Tensor& y_RN) {
  Tensor& product = pre_RN ? pre_RN : y_RN;
  cuda::gemm(x_RM, weight_NM.transpose(0, 1), product, {.bias_N = bias_N});
  f.run(product.device(), product.dtype(), product, y_RN);
}

CLS_KERNEL(linear_activation, kCuda, kF32, linear_activation_cuda);
CLS_KERNEL(linear_activation, kCuda, kBf16, linear_activation_cuda);

}  // namespace
}  // namespace clausius::ops
