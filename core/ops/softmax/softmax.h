// SPDX-License-Identifier: Apache-2.0
// Softmax along one axis.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// y = exp(x - max) / sum of exp(x - max) along `axis` (negative counts from the end).
/// Shapes:  any -> the same     (float32 accumulation)
/// Value:   a line of -inf only gives zeros, not NaN: nothing is visible there.
/// Errors:  ShapeError for an axis the tensor has not; DtypeError for integers.
/// Cost:    memory-bound along the last axis; other axes are copied to be last and back.
[[nodiscard]] Tensor softmax(const Tensor& x, int axis = -1);

/// dx = y (dy - sum of dy y along `axis`), from the output y.
[[nodiscard]] Tensor softmax_backward(const Tensor& dy, const Tensor& y, int axis = -1);

/// x and y [R, N] dense, along N.
using SoftmaxForwardTable = KernelTable<void(const Tensor& x, Tensor& y)>;
SoftmaxForwardTable& softmax_forward_kernels();
using SoftmaxBackwardTable = KernelTable<void(const Tensor& dy, const Tensor& y, Tensor& dx)>;
SoftmaxBackwardTable& softmax_backward_kernels();

}  // namespace clausius::ops
