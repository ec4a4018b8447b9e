// SPDX-License-Identifier: Apache-2.0
// A residual sum with a factor for each side, both tensors, so that they can be learned.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// y = a_factor a + b_factor b.
/// Shapes:  a and b equal, factors of one element -> y like a
/// Types:   factors are f32 when a and b are f32 or bf16 (computed in f32, rounded once), f64 when they are f64.
/// Value:   with both factors 1, the bits of add(a, b).
/// Errors:  ShapeError, DtypeError.
/// Cost:    memory-bound; the factors are read where they live.
[[nodiscard]] Tensor scaled_add(const Tensor& a,
                                const Tensor& a_factor,
                                const Tensor& b,
                                const Tensor& b_factor);

struct ScaledAddGradients {
  Tensor da;
  Tensor da_factor;  // like the factor
  Tensor db;
  Tensor db_factor;
};
/// da = a_factor dy, da_factor = sum of dy a, likewise for b; one pass, the sums in f64 across chunks of fixed size.
[[nodiscard]] ScaledAddGradients scaled_add_backward(const Tensor& dy,
                                                     const Tensor& a,
                                                     const Tensor& a_factor,
                                                     const Tensor& b,
                                                     const Tensor& b_factor);

/// a, b and y dense, not empty.
using ScaledAddForwardTable = KernelTable<void(
    const Tensor& a, const Tensor& a_factor, const Tensor& b, const Tensor& b_factor, Tensor& y)>;
ScaledAddForwardTable& scaled_add_forward_kernels();
/// sums: f64 [2], of dy a and of dy b.
using ScaledAddBackwardTable = KernelTable<void(const Tensor& dy,
                                                const Tensor& a,
                                                const Tensor& a_factor,
                                                const Tensor& b,
                                                const Tensor& b_factor,
                                                Tensor& da,
                                                Tensor& db,
                                                Tensor& sums)>;
ScaledAddBackwardTable& scaled_add_backward_kernels();

}  // namespace clausius::ops
