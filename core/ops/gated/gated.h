// SPDX-License-Identifier: Apache-2.0
// Gated feed-forward units: an activated gate times a value, from one packed projection.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// What is applied to the gate: SwiGLU, GEGLU (tanh form), bilinear (sglu), the original GLU,
/// ReGLU.
enum class Gate : unsigned char { kSilu, kGelu, kIdentity, kSigmoid, kRelu };

/// y = activation(gate) value, where x holds the gate in its first half and the value in its
/// second. Shapes:  x [.., 2F] -> y [.., F] Types:   f32, bf16 (computed in f32, rounded once),
/// f64. Errors:  ShapeError when the last size is odd; DtypeError for integers. Cost: memory-bound.
/// Equals mul(activation(x[.., :F]), x[.., F:]) without the copies between. Source:  Shazeer 2020,
/// "GLU Variants Improve Transformer".
[[nodiscard]] Tensor gated(const Tensor& x, Gate gate);

/// dx [.., 2F] = (dy value activation'(gate) | dy activation(gate)).
[[nodiscard]] Tensor gated_backward(const Tensor& dy, const Tensor& x, Gate gate);

[[nodiscard]] inline Tensor swiglu(const Tensor& x) {
  return gated(x, Gate::kSilu);
}
[[nodiscard]] inline Tensor swiglu_backward(const Tensor& dy, const Tensor& x) {
  return gated_backward(dy, x, Gate::kSilu);
}

/// x [R, 2F] and y [R, F] dense.
using GatedForwardTable = KernelTable<void(const Tensor& x, Tensor& y, Gate gate)>;
GatedForwardTable& gated_forward_kernels();
/// dy [R, F], x and dx [R, 2F] dense.
using GatedBackwardTable =
    KernelTable<void(const Tensor& dy, const Tensor& x, Tensor& dx, Gate gate)>;
GatedBackwardTable& gated_backward_kernels();

}  // namespace clausius::ops
