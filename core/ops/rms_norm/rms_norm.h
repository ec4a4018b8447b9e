// SPDX-License-Identifier: Apache-2.0
// Root-mean-square normalisation over the last dimension.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

struct RmsNormOutput {
  Tensor y;
  Tensor rstd;
};
struct RmsNormGradients {
  Tensor dx;
  Tensor dgain;
};

/// y = x rstd gain, rstd = 1 / sqrt(avg(x^2) + eps) over the last dimension. Without a gain this is
/// simple_rms_norm. Shapes:  x [.., M], gain M -> y [.., M], rstd [..]     (float32 accumulation)
/// Types:   gain and rstd are f32 when x is f32 or bf16, f64 when x is f64. An undefined gain is 1.
/// Errors:  ShapeError, DtypeError.
/// Cost:    memory-bound: one read of x, one write of y.
/// Source:  Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".
[[nodiscard]] RmsNormOutput rms_norm(const Tensor& x, const Tensor& gain, double eps);

/// With n = x rstd and g = dy gain:  dx = rstd (g - n avg(g n)),  dgain = sum over rows of dy n
/// (undefined when gain is). The row sums run in fixed chunks added in order: the same bits for any
/// number of threads.
[[nodiscard]] RmsNormGradients rms_norm_backward(const Tensor& dy,
                                                 const Tensor& x,
                                                 const Tensor& gain,
                                                 const Tensor& rstd);

/// x and y [R, M] dense, rstd [R]; gain may be undefined.
using RmsNormForwardTable =
    KernelTable<void(const Tensor& x, const Tensor& gain, Tensor& y, Tensor& rstd, double eps)>;
RmsNormForwardTable& rms_norm_forward_kernels();
/// dgain may be undefined.
using RmsNormBackwardTable = KernelTable<void(const Tensor& dy,
                                              const Tensor& x,
                                              const Tensor& gain,
                                              const Tensor& rstd,
                                              Tensor& dx,
                                              Tensor& dgain)>;
RmsNormBackwardTable& rms_norm_backward_kernels();

}  // namespace clausius::ops
