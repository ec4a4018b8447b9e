// SPDX-License-Identifier: Apache-2.0
// y = alpha x + beta y: scaling a tensor into another, or into a gradient buffer.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

/// y = alpha x + beta y, rounded once to y's type; beta = 0 overwrites (y may hold anything).
/// Shapes:  equal; a strided tensor goes through a dense copy.
/// Errors:  ShapeError when shapes differ; DtypeError unless both are floating.
/// Cost:    memory-bound.
void axpby(double alpha, const Tensor& x, double beta, Tensor& y);

}  // namespace clausius::ops
