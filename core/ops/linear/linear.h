// SPDX-License-Identifier: Apache-2.0
// y = alpha x W^T + b and its gradients.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// y = alpha x W^T + b.
/// Shapes:  x (.., M), weight [N, M], bias [N] or undefined -> y (.., N)
/// Value:   y has x's type; the bias stays f32 when x is bf16, and is added before the one rounding. Equals
///          matmul(x, weight.transpose(0, 1)) in f32 plus the bias, rounded to x's type. `alpha` is one element where the operands are
///          (f32; f64 with f64), 1 when undefined; it multiplies the sums, not the weight: no scaled copy of it is made.
/// Errors:  ShapeError when M or N disagree; DtypeError for another mix of types.
/// Cost:    compute-bound, 2 M N a row.
[[nodiscard]] Tensor linear(const Tensor& x,
                            const Tensor& weight_NM,
                            const Tensor& bias_N = {},
                            const Tensor& alpha = {});
void linear(const Tensor& x,
            const Tensor& weight_NM,
            const Tensor& bias_N,
            Tensor& y,
            const Tensor& alpha = {});

/// dx = alpha dy W, or dx += alpha dy W when `accumulate`.
/// Shapes:  dy (.., N), weight [N, M] -> dx (.., M)
void linear_input_gradient(const Tensor& dy,
                           const Tensor& weight_NM,
                           Tensor& dx,
                           bool accumulate = false,
                           const Tensor& alpha = {});

/// dweight = dy^T x, or dweight += dy^T x when `accumulate`, straight into a gradient buffer.
/// Shapes:  dy (.., N), x (.., M) -> dweight [N, M], of x's type or f32
void linear_weight_gradient(const Tensor& dy,
                            const Tensor& x,
                            Tensor& dweight_NM,
                            bool accumulate = false);

/// dbias = sum of the rows of dy, or dbias += that when `accumulate`.
/// Shapes:  dy (.., N) -> dbias [N], f32 (f64 when dy is f64)
/// Value:   f32 sums over fixed runs of rows, those added in f64 in order: the same bits for any number of threads.
/// Cost:    memory-bound, one reading of dy.
void linear_bias_gradient(const Tensor& dy, Tensor& dbias_N, bool accumulate = false);

/// Kernels get x, dy and y as matrices with at least one element.
using LinearForwardKernels = KernelTable<void(const Tensor& x_RM,
                                              const Tensor& weight_NM,
                                              const Tensor& bias_N,
                                              Tensor& y_RN,
                                              const Tensor& alpha)>;
LinearForwardKernels& linear_forward_kernels();
using LinearBiasGradientKernels =
    KernelTable<void(const Tensor& dy_RN, Tensor& dbias_N, bool accumulate)>;
LinearBiasGradientKernels& linear_bias_gradient_kernels();

namespace detail {

/// The errors of linear.
void check_linear_operands(const Tensor& x, const Tensor& weight_NM, const Tensor& bias_N);

}  // namespace detail

}  // namespace clausius::ops
