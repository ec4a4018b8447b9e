// SPDX-License-Identifier: Apache-2.0
// Allocation, flattening and dispatch of linear_activation.
#include "core/ops/linear_activation/linear_activation.h"

#include "core/ops/linear/linear.h"
#include "core/ops/linear_activation/linear_activation_reference.h"
#include "core/ops/matmul/as_matrix.h"

namespace clausius::ops {

LinearActivationKernels& linear_activation_kernels() {
  static LinearActivationKernels table("linear_activation", linear_activation_reference<double>,
                                       linear_activation_reference<float>);
  return table;
}

LinearActivationOutput linear_activation(const Tensor& x,
                                         const Tensor& weight_NM,
                                         const Tensor& bias_N,
                                         const PointwiseForwardTable& f,
                                         bool keep_pre) {
  detail::check_linear_operands(x, weight_NM, bias_N);
  Shape shape = x.shape();
  shape[-1] = weight_NM.size(0);
  LinearActivationOutput out{
      .y = Tensor::empty(shape, x.dtype(), x.device()),
      .pre = keep_pre ? Tensor::empty(shape, x.dtype(), x.device()) : Tensor()};
  if (out.y.numel() == 0) {
    return out;
  }
  if (x.size(-1) == 0) {
    Tensor& product = keep_pre ? out.pre : out.y;
    linear(x, weight_NM, bias_N, product);
    f.run(x.device(), x.dtype(), product, out.y);
    return out;
  }
  Tensor y_RN = as_matrix(out.y);
  Tensor pre_RN = keep_pre ? as_matrix(out.pre) : Tensor();
  linear_activation_kernels().run(x.device(), x.dtype(), as_matrix(x), weight_NM, bias_N, f, pre_RN,
                                  y_RN);
  return out;
}

}  // namespace clausius::ops
