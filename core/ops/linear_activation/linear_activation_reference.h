// SPDX-License-Identifier: Apache-2.0
// The definition of linear_activation: one after the other.
#pragma once

#include "core/ops/linear/linear_reference.h"
#include "core/ops/linear_activation/linear_activation.h"

namespace clausius::ops {

template <class T>
void linear_activation_reference(const Tensor& x_RM,
                                 const Tensor& weight_NM,
                                 const Tensor& bias_N,
                                 const PointwiseForwardTable& f,
                                 Tensor& pre_RN,
                                 Tensor& y_RN) {
  Tensor& product = pre_RN ? pre_RN : y_RN;
  linear_reference<T>(x_RM, weight_NM, bias_N, product);
  f.run(kCpu, product.dtype(), product, y_RN);
}

}  // namespace clausius::ops
