// SPDX-License-Identifier: Apache-2.0
// Arithmetic on two tensors with broadcasting.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// y = a op b, element by element.
/// Shapes:  broadcast from the right: equal sizes, or one of them 1 or missing.
/// Types:   a and b of one floating type, or one bf16 and one f32 (an activation and a parameter),
/// which gives bf16; bf16 is
///          computed in f32 and rounded once.
/// Errors:  ShapeError naming both shapes; DtypeError.
/// Cost:    memory-bound; a broadcast operand is read in place.
[[nodiscard]] Tensor add(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor sub(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor mul(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor div(const Tensor& a, const Tensor& b);

/// Gradient of one operand of mul: dy times the other, summed over the dimensions the operand was
/// repeated along.
[[nodiscard]] Tensor mul_gradient(const Tensor& dy, const Tensor& other, const Tensor& operand);
/// Gradients of div: dy / b, and -dy a / b^2, summed likewise.
[[nodiscard]] Tensor div_gradient_a(const Tensor& dy, const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor div_gradient_b(const Tensor& dy, const Tensor& a, const Tensor& b);

enum class BinaryOp : unsigned char { kAdd, kSub, kMul, kDiv };

/// a and b expanded to y's shape (stride 0 where repeated), y dense and of the type looked up; a
/// and b may be f32 beside bf16.
using BinaryTable = KernelTable<void(const Tensor& a, const Tensor& b, Tensor& y, BinaryOp op)>;
BinaryTable& binary_kernels();

}  // namespace clausius::ops
