// SPDX-License-Identifier: Apache-2.0
// Where the padding of each row begins: what is observed ends there.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

// Legend: B samples, T tokens.
namespace clausius::ops {

/// Tokens of each row before its padding: up to the token that its last target stands for, 0 without a target.
/// Shapes:  targets_BT i32, kIgnoredTarget where there is none -> [B] i32
/// Value:   min(T, 2 + the last position with a target): that position, and the next one, whose token the target is.
/// Errors:  ShapeError, DtypeError.
/// Cost:    one reading; the host does not wait.
[[nodiscard]] Tensor row_lengths(const Tensor& targets_BT);

/// Kernels get a dense tensor with at least one element.
using RowLengthsKernels = KernelTable<void(const Tensor& targets_BT, Tensor& lengths_B)>;
RowLengthsKernels& row_lengths_kernels();

}  // namespace clausius::ops
