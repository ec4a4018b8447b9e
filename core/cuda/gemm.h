// SPDX-License-Identifier: Apache-2.0
// Matrix products on the CUDA device, for kernels: what matmul, linear and the LM head are built on there.
#pragma once

#include "core/ops/matmul/gemm.h"
#include "core/tensor.h"

namespace clausius::cuda {

/// out = alpha a b + bias (+ out), one matrix or a batch, by cuBLASLt on the compute stream.
/// Shapes:  a [M, K], b [K, N], out [M, N], or all three with one leading batch axis of any stride (0 repeats a or b); all
///          sizes > 0. Dense rows or dense columns are used in place; what has neither is copied first.
/// Value:   a and b both f32 or both bf16; out f32, or bf16 when they are. Sums are f32, never TF32, and the bias is
///          added to them before the one rounding to bf16; a bf16 out takes it as the sum of two bf16 numbers, exact to 2^-18 of
///          it. Bits depend on the shapes, strides and alignments alone.
/// Cost:    a bias costs no pass over out, unless out is bf16 and accumulated to (or rows do not begin on sixteen bytes, or cuBLASLt has
///          no algorithm for the two parts): that goes through an f32 copy.
void gemm(const Tensor& a, const Tensor& b, Tensor& out, const ops::GemmOptions& options = {});

}  // namespace clausius::cuda
