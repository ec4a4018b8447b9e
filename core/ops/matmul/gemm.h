// SPDX-License-Identifier: Apache-2.0
// One matrix product on the CPU, for kernels: what matmul, linear and the LM head are built on.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

struct GemmOptions {
  double alpha = 1.0;
  bool accumulate = false;
  Tensor bias_N = {};  // f32, added to every row after alpha; absent when undefined
  Tensor factor =
      {};  // one f32 beside the operands, multiplies alpha; read when the product runs; 1 when undefined
};

/// out = alpha a b + bias (+ out). oneDNN where it has a kernel for the case, else portable_gemm.
/// Shapes:  a [M, K], b [K, N], out [M, N], all sizes > 0; any strides, dense rows or dense columns are used in place.
/// Value:   a and b both f32 or both bf16; out f32, or bf16 when they are.
/// Cost:    uses all threads, or the calling one inside a parallel_for body.
void gemm(const Tensor& a, const Tensor& b, Tensor& out, const GemmOptions& options = {});

/// The same without oneDNN's kernels for this type: bf16 through f32 copies, f32 by Eigen. For machines that lack them.
void portable_gemm(const Tensor& a, const Tensor& b, Tensor& out, const GemmOptions& options = {});

}  // namespace clausius::ops
