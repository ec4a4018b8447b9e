// SPDX-License-Identifier: Apache-2.0
// Adding one tensor into another in place: how gradients of several uses meet.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

/// total += part, element by element, rounded once to total's type.
/// Shapes:  equal; any strides.
/// Errors:  ShapeError when shapes differ; DtypeError unless both are floating.
/// Cost:    memory-bound, two reads and a write.
void accumulate(const Tensor& part, Tensor& total);

}  // namespace clausius::ops
