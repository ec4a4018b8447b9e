// SPDX-License-Identifier: Apache-2.0
// A tensor times a number, and the running sum that gradients are gathered with.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// y = factor x. The factor is rounded to x's computing type (f32 for bf16), not to bf16.
[[nodiscard]] Tensor scale(const Tensor& x, double factor);

/// y += factor x.
/// Shapes:  equal; any strides on both sides.
/// Types:   equal floating types, or x bf16 and y f32.
/// Errors:  ShapeError; DtypeError.
/// Cost:    memory-bound.
void accumulate(Tensor& y, const Tensor& x, double factor = 1.0);

/// x and y dense.
using ScaleTable = KernelTable<void(const Tensor& x, Tensor& y, double factor)>;
ScaleTable& scale_kernels();
/// Any strides; looked up by x's type.
using AccumulateTable = KernelTable<void(const Tensor& x, Tensor& y, double factor)>;
AccumulateTable& accumulate_kernels();

}  // namespace clausius::ops
