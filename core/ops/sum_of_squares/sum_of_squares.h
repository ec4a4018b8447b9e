// SPDX-License-Identifier: Apache-2.0
// The sum of squares of a buffer: gradient norms, and the test that nothing is NaN or infinite.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

struct SquareSum {
  double value = 0;
  bool finite = true;  // no element is NaN or infinite
};

/// Sum of x_i^2 over a dense tensor of any shape.
/// Value:   squares and sums in f64 over fixed chunks: the same bits whatever the number of threads.
/// Errors:  ShapeError unless x is dense; DtypeError unless it is floating.
/// Cost:    memory-bound, one reading.
[[nodiscard]] SquareSum sum_of_squares(const Tensor& x);

using SumOfSquaresKernels = KernelTable<void(const Tensor& x_N, double& sum)>;
SumOfSquaresKernels& sum_of_squares_kernels();

}  // namespace clausius::ops
