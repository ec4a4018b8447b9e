// SPDX-License-Identifier: Apache-2.0
// Arithmetic on two tensors with broadcasting.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// y = a op b, element by element.
/// Shapes:  broadcast from the right: equal sizes, or one of them 1 or missing.
/// Types:   a and b of one floating type; bf16 is computed in f32 and rounded once.
/// Errors:  ShapeError naming both shapes; DtypeError.
/// Cost:    memory-bound; a broadcast operand is read in place.
[[nodiscard]] Tensor add(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor sub(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor mul(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor div(const Tensor& a, const Tensor& b);

struct BinaryGradients {
  Tensor da;
  Tensor db;
};
/// The chain rule, each gradient summed over the dimensions its operand was repeated along.
[[nodiscard]] BinaryGradients add_backward(const Tensor& dy, const Tensor& a, const Tensor& b);
[[nodiscard]] BinaryGradients sub_backward(const Tensor& dy, const Tensor& a, const Tensor& b);
[[nodiscard]] BinaryGradients mul_backward(const Tensor& dy, const Tensor& a, const Tensor& b);
[[nodiscard]] BinaryGradients div_backward(const Tensor& dy, const Tensor& a, const Tensor& b);

enum class BinaryOp : unsigned char { kAdd, kSub, kMul, kDiv };

/// a and b expanded to y's shape (stride 0 where repeated), y dense.
using BinaryTable = KernelTable<void(const Tensor& a, const Tensor& b, Tensor& y, BinaryOp op)>;
BinaryTable& binary_kernels();

}  // namespace clausius::ops
