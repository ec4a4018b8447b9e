// SPDX-License-Identifier: Apache-2.0
// The sum of squares of a buffer: gradient norms.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// Sum of x_i^2 over a dense tensor of any shape: [] f64 where x is. Not finite exactly where an element is NaN or infinite (an f32
/// square is at most 2^256).
/// Value:   squares and sums in f64 over fixed chunks: the same bits whatever the number of threads.
/// Errors:  ShapeError unless x is dense; DtypeError unless it is floating.
/// Cost:    memory-bound, one reading.
[[nodiscard]] Tensor sum_of_squares(const Tensor& x);

using SumOfSquaresKernels = KernelTable<void(const Tensor& x_N, Tensor& sum)>;
SumOfSquaresKernels& sum_of_squares_kernels();

}  // namespace clausius::ops
