// SPDX-License-Identifier: Apache-2.0
// A tensor times a number.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// y = factor x. The factor is rounded to x's computing type (f32 for bf16), not to bf16.
[[nodiscard]] Tensor scale(const Tensor& x, double factor);

/// x and y dense.
using ScaleTable = KernelTable<void(const Tensor& x, Tensor& y, double factor)>;
ScaleTable& scale_kernels();

}  // namespace clausius::ops
