// SPDX-License-Identifier: Apache-2.0
// The leaky rectifier with a slope that is a tensor, so that it can be learned.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// y = x where x > 0, else slope x.
/// Shapes:  x any, slope of one element -> y like x
/// Types:   slope is f32 when x is f32 or bf16, f64 when x is f64.
/// Errors:  ShapeError, DtypeError.
/// Cost:    memory-bound; the slope is read where it lives.
/// Source:  Maas, Hannun and Ng 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic Models"; He et al. 2015, "Delving
///          Deep into Rectifiers" (a slope that is learned).
[[nodiscard]] Tensor leaky_relu(const Tensor& x, const Tensor& slope);

struct LeakyReluGradients {
  Tensor dx;
  Tensor dslope;  // like slope; undefined unless asked for
};
/// dx = dy where x > 0, else slope dy;  dslope = sum of dy min(x, 0), in f64 across chunks of fixed size.
[[nodiscard]] LeakyReluGradients leaky_relu_backward(const Tensor& dy,
                                                     const Tensor& x,
                                                     const Tensor& slope,
                                                     bool with_slope);

/// x and y dense, of one shape, not empty.
using LeakyReluForwardTable = KernelTable<void(const Tensor& x, const Tensor& slope, Tensor& y)>;
LeakyReluForwardTable& leaky_relu_forward_kernels();
/// `dslope` is f64 [], or undefined where nobody wants it.
using LeakyReluBackwardTable = KernelTable<void(
    const Tensor& dy, const Tensor& x, const Tensor& slope, Tensor& dx, Tensor& dslope)>;
LeakyReluBackwardTable& leaky_relu_backward_kernels();

}  // namespace clausius::ops
