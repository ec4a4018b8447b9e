// SPDX-License-Identifier: Apache-2.0
// y = alpha x + beta y: a scaled tensor written or added into another.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// y = alpha x + beta y, rounded once to y's type; beta = 0 overwrites (y may hold anything).
/// Shapes:  equal; any strides.
/// Errors:  ShapeError when shapes differ; DtypeError unless both are floating.
/// Cost:    memory-bound.
void axpby(double alpha, const Tensor& x, double beta, Tensor& y);

/// Any strides; looked up by y's type. x may be bf16 beside f32 and the other way round.
using AxpbyTable = KernelTable<void(double alpha, const Tensor& x, double beta, Tensor& y)>;
AxpbyTable& axpby_kernels();

}  // namespace clausius::ops
