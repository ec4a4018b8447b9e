// SPDX-License-Identifier: Apache-2.0
// Layer normalisation over the last dimension.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

struct LayerNormOutput {
  Tensor y;
  Tensor mean;
  Tensor rstd;
};
struct LayerNormGradients {
  Tensor dx;
  Tensor dgain;
  Tensor dbias;
};

/// y = (x - mean) rstd gain + bias, mean and rstd = 1 / sqrt(variance + eps) taken over the last
/// dimension. Shapes:  x [.., M], gain M, bias M -> y [.., M], mean and rstd [..]     (float32
/// accumulation, variance from centred squares) Types:   gain, bias, mean and rstd are f32 when x
/// is f32 or bf16, f64 when x is f64. An undefined gain is 1, an undefined bias 0. Errors:
/// ShapeError, DtypeError. Cost:    memory-bound: one read of x, one write of y. Source:  Ba, Kiros
/// and Hinton 2016, "Layer Normalization".
[[nodiscard]] LayerNormOutput layer_norm(const Tensor& x,
                                         const Tensor& gain,
                                         const Tensor& bias,
                                         double eps);

/// With n = (x - mean) rstd and g = dy gain:  dx = rstd (g - avg(g) - n avg(g n)),  dgain = sum
/// over rows of dy n,  dbias = that of dy. dgain and dbias have the statistics' type; they stay
/// undefined when gain is, or when `with_bias` is false. The row sums run in fixed chunks added in
/// order: the same bits for any number of threads.
[[nodiscard]] LayerNormGradients layer_norm_backward(const Tensor& dy,
                                                     const Tensor& x,
                                                     const Tensor& gain,
                                                     const Tensor& mean,
                                                     const Tensor& rstd,
                                                     bool with_bias);

/// x and y [R, M] dense, mean and rstd [R]; gain and bias may be undefined.
using LayerNormForwardTable = KernelTable<void(const Tensor& x,
                                               const Tensor& gain,
                                               const Tensor& bias,
                                               Tensor& y,
                                               Tensor& mean,
                                               Tensor& rstd,
                                               double eps)>;
LayerNormForwardTable& layer_norm_forward_kernels();
/// dgain and dbias may be undefined.
using LayerNormBackwardTable = KernelTable<void(const Tensor& dy,
                                                const Tensor& x,
                                                const Tensor& gain,
                                                const Tensor& mean,
                                                const Tensor& rstd,
                                                Tensor& dx,
                                                Tensor& dgain,
                                                Tensor& dbias)>;
LayerNormBackwardTable& layer_norm_backward_kernels();

}  // namespace clausius::ops
