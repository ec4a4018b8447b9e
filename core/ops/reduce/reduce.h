// SPDX-License-Identifier: Apache-2.0
// Sums, means and maxima along axes.
#pragma once

#include <vector>

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// Axes in any order; negative ones count from the end. Each may be named once.
using Axes = std::vector<int>;

/// Sum over all elements, a rank-0 tensor; or over `axes`, which disappear unless `keep` leaves
/// them at size 1. Types:   x f32 or bf16 -> f32, f64 -> f64. Chunks of fixed length are summed in
/// f32 and added in order in f64: the same bits for any
///          number of threads. Sums over nothing are 0.
/// Errors:  ShapeError for an axis that is missing or named twice; DtypeError for integers.
/// Cost:    memory-bound; axes that are not neighbours cost a copy.
[[nodiscard]] Tensor sum(const Tensor& x);
[[nodiscard]] Tensor sum(const Tensor& x, const Axes& axes, bool keep = false);
/// dx of sum: dy repeated along the axes, in x's type.
[[nodiscard]] Tensor sum_backward(const Tensor& dy, const Tensor& x, const Axes& axes);

/// The sum divided by the number of elements summed.
/// Errors:  also ShapeError for a mean over nothing.
[[nodiscard]] Tensor mean(const Tensor& x);
[[nodiscard]] Tensor mean(const Tensor& x, const Axes& axes, bool keep = false);
[[nodiscard]] Tensor mean_backward(const Tensor& dy, const Tensor& x, const Axes& axes);

struct MaxOutput {
  Tensor value;
  Tensor index;
};
/// The largest element along one axis and its index (i64), the first of equals; NaN counts as the
/// largest. Types:   value f32 for f32 and bf16, f64 for f64. Errors:  ShapeError for a size-0
/// axis.
[[nodiscard]] MaxOutput max(const Tensor& x, int axis);
/// dx = dy at the index, 0 elsewhere, in x's type.
[[nodiscard]] Tensor max_backward(const Tensor& dy, const Tensor& index, const Tensor& x, int axis);

/// x summed down to `shape`, the inverse of broadcasting: the gradient of an operand that was
/// repeated. Errors:  ShapeError when `shape` does not broadcast to x's.
[[nodiscard]] Tensor sum_to(const Tensor& x, const Shape& shape, Dtype dtype);

/// x [O, N, I] dense -> y [O, I] = factor times the sum over N.
using SumTable = KernelTable<void(const Tensor& x, Tensor& y, double factor)>;
SumTable& sum_kernels();
/// x [O, N, I] dense -> value and index [O, I].
using MaxTable = KernelTable<void(const Tensor& x, Tensor& value, Tensor& index)>;
MaxTable& max_kernels();
/// dy and index [O, I] -> dx [O, N, I], dense and of dy's type (f32 or f64), every element written.
using MaxBackwardTable = KernelTable<void(const Tensor& dy, const Tensor& index, Tensor& dx)>;
MaxBackwardTable& max_backward_kernels();

}  // namespace clausius::ops
