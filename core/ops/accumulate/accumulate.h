// SPDX-License-Identifier: Apache-2.0
// Adding one tensor into another in place: how gradients of several uses meet.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// total += part, element by element, rounded once to total's type.
/// Shapes:  equal; any strides.
/// Errors:  ShapeError when shapes differ; DtypeError unless both are floating.
/// Cost:    memory-bound, two reads and a write.
void accumulate(const Tensor& part, Tensor& total);

/// Any strides; looked up by total's type. part may be bf16 beside f32 and the other way round.
using AccumulateTable = KernelTable<void(const Tensor& part, Tensor& total)>;
AccumulateTable& accumulate_kernels();

}  // namespace clausius::ops
