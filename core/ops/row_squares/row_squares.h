// SPDX-License-Identifier: Apache-2.0
// The size of activations: the sum of their squares over the tokens that count.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

// Legend: B samples, T tokens, M width.
namespace clausius::ops {

/// sums[0] += sum of x^2 over the tokens t < length of each row, sums[1] += the elements that is over.
/// Shapes:  x_BTM floating; lengths_B i32, undefined: every token counts; sums [2] f64
/// Value:   rows of M in f32, added in f64, in an order that depends on the shapes alone.
/// Errors:  ShapeError, DtypeError.
/// Cost:    memory-bound, one reading; the host does not wait.
void row_squares(const Tensor& x_BTM, const Tensor& lengths_B, Tensor& sums);

/// Kernels get dense tensors, at least one element, and lengths.
using RowSquaresKernels =
    KernelTable<void(const Tensor& x_BTM, const Tensor& lengths_B, Tensor& sums)>;
RowSquaresKernels& row_squares_kernels();

}  // namespace clausius::ops
