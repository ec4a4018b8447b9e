// SPDX-License-Identifier: Apache-2.0
// Copies, conversions and fills: the only ops that accept every element type.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

/// destination = source, element by element, converting types (floats round to nearest even).
/// Shapes:  equal; any strides on both sides.
///          Between devices it waits until the data are there.
/// Errors:  ShapeError when shapes differ.
/// Cost:    memory-bound; one memcpy a row when types match and rows are dense.
void copy(const Tensor& source, Tensor& destination);

/// Every element of `destination` = value, converted.
void fill(Tensor& destination, double value);

}  // namespace clausius::ops
