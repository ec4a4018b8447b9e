// SPDX-License-Identifier: Apache-2.0
// Differentiable y = f(x W^T + b).
#pragma once

#include "autograd/rules/row_scales.h"
#include "autograd/variable.h"
#include "core/ops/pointwise_tables.h"

namespace clausius {

/// A pointwise op as a value: `{ops::gelu_forward_kernels(), ops::gelu_backward_kernels()}`.
struct PointwiseOp {
  const ops::PointwiseForwardTable& forward;
  const ops::PointwiseBackwardTable& backward;
};

/// x (.., M), weight [N, M], bias [N] or undefined -> (.., N). See ops::linear_activation. Compute-bound.
/// `scales` as in linear.
[[nodiscard]] Variable linear_activation(const Variable& x,
                                         const Variable& weight_NM,
                                         const Variable& bias_N,
                                         const PointwiseOp& f,
                                         const RowScales& scales = {});

}  // namespace clausius
