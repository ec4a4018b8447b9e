// SPDX-License-Identifier: Apache-2.0
// Rows of a weight with norms of their own: w = g v / |v|, and the gradients of g and v.
#pragma once

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// norm_m = |v_m| and w_m = g_m v_m / |v_m| for each row m.
/// Shapes:  v [M, N], gain [M] -> norm [M], w [M, N] of v's type or bf16
/// Value:   sums in f64; w is rounded once. A row of zeros has norm 0 and a w that is not finite: check_row_norms names it.
/// Errors:  ShapeError, DtypeError unless v, gain and norm are f32 (or f64), rows dense, all in one place.
/// Cost:    memory-bound, one reading of v and one writing of w.
/// Source:  Salimans and Kingma 2016, "Weight Normalization".
void weight_norm(const Tensor& v_MN, const Tensor& gain_M, Tensor& norm_M, Tensor& w_MN);

/// c_m += <G_m, v_m>, G the gradient of w, for the rows or parts of rows given.
/// Shapes:  v and gradient [M, N] -> c [M] f64
void weight_norm_products(const Tensor& v_MN, const Tensor& gradient_MN, Tensor& c_M);

/// dv = g / |v| (G - c / |v|^2 v), in the place of G; dg = c / |v|, which is c's to give (weight_norm_gain_gradient).
/// Shapes:  v and gradient [M, N], gain and norm [M], c [M] f64
/// Cost:    memory-bound, one reading of v and G and one writing of G.
void weight_norm_apply(const Tensor& v_MN,
                       const Tensor& gain_M,
                       const Tensor& norm_M,
                       const Tensor& c_M,
                       Tensor& gradient_MN);

/// dg = c / |v|.
void weight_norm_gain_gradient(const Tensor& norm_M, const Tensor& c_M, Tensor& dgain_M);

using WeightNormKernels =
    KernelTable<void(const Tensor& v_MN, const Tensor& gain_M, Tensor& norm_M, Tensor& w_MN)>;
WeightNormKernels& weight_norm_kernels();
using WeightNormProductsKernels =
    KernelTable<void(const Tensor& v_MN, const Tensor& gradient_MN, Tensor& c_M)>;
WeightNormProductsKernels& weight_norm_products_kernels();
using WeightNormApplyKernels = KernelTable<void(const Tensor& v_MN,
                                                const Tensor& gain_M,
                                                const Tensor& norm_M,
                                                const Tensor& c_M,
                                                Tensor& gradient_MN)>;
WeightNormApplyKernels& weight_norm_apply_kernels();
using WeightNormGainGradientKernels =
    KernelTable<void(const Tensor& norm_M, const Tensor& c_M, Tensor& dgain_M)>;
WeightNormGainGradientKernels& weight_norm_gain_gradient_kernels();

}  // namespace clausius::ops
