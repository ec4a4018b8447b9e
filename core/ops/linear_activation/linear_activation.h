// SPDX-License-Identifier: Apache-2.0
// y = f(x W^T + b) for a pointwise f, in one op.
#pragma once

#include "core/kernel_table.h"
#include "core/ops/pointwise_tables.h"
#include "core/tensor.h"

namespace clausius::ops {

struct LinearActivationOutput {
  Tensor y;
  Tensor pre;  // x W^T + b, for the backward pass; undefined unless asked for
};

/// y = f(x W^T + b), `f` the kernels of any pointwise op: `gelu_forward_kernels()`.
/// Shapes:  x (.., M), weight [N, M], bias [N] or undefined -> y and pre (.., N)
/// Value:   the bits of linear and f in turn on the CPU.
/// Errors:  as linear.
/// Cost:    compute-bound, 2 M N a row. Without `keep_pre` f works in place: one output in memory, not two.
[[nodiscard]] LinearActivationOutput linear_activation(const Tensor& x,
                                                       const Tensor& weight_NM,
                                                       const Tensor& bias_N,
                                                       const PointwiseForwardTable& f,
                                                       bool keep_pre);

/// Kernels get matrices with at least one element; pre is undefined unless it is to be written.
using LinearActivationKernels = KernelTable<void(const Tensor& x_RM,
                                                 const Tensor& weight_NM,
                                                 const Tensor& bias_N,
                                                 const PointwiseForwardTable& f,
                                                 Tensor& pre_RN,
                                                 Tensor& y_RN)>;
LinearActivationKernels& linear_activation_kernels();

}  // namespace clausius::ops
