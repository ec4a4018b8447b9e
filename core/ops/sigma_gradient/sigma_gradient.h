// SPDX-License-Identifier: Apache-2.0
// From gradients of W_hat = gamma / sigma(W) W to gradients of W and gamma, for many matrices at once.
#pragma once

#include <span>

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// One reparametrised matrix. `gradient` holds G = dL/dW_hat before and dL/dW afterwards.
struct SigmaMatrix {
  Tensor weight_MN;    // the master
  Tensor gradient_MN;  // as weight; dense rows
  Tensor gamma;        // one element
  Tensor dgamma;       // one element, overwritten
};

/// c_e = <G_e, W_e>, the first of two passes: where ranks hold a share of the gradients each, c is linear in G and is summed over them.
/// Shapes:  matrices [M_e, N_e] -> c [E], f64 where they are
/// Value:   products and sums in f64 over fixed chunks: the same bits whatever the number of threads.
/// Errors:  ShapeError, DtypeError unless each matrix, its gradient, gamma and dgamma fit and are f32 (or f64) in one place.
/// Cost:    memory-bound, one reading of weights and gradients.
[[nodiscard]] Tensor sigma_products(std::span<const SigmaMatrix> matrices);

/// gradient = gamma / sigma (G - (c / sigma) v u^T),  dgamma = c / sigma: u and v are constants, sigma = v^T W u is not. Without
/// `grad_through_sigma` the rank-one term is left out.
/// Shapes:  u [sum N_e], v [sum M_e], sigma [E] of the weights' type, as spectral_refresh left them; c [E] f64
/// Value:   <dL/dW, W> = 0 up to rounding for any u and v with sigma = v^T W u.
/// Errors:  as above.
/// Cost:    memory-bound, one reading and one writing of the gradients.
/// Source:  Zhai et al. 2023, "Stabilizing Transformer Training by Preventing Attention Entropy Collapse".
void sigma_apply(std::span<const SigmaMatrix> matrices,
                 const Tensor& u,
                 const Tensor& v,
                 const Tensor& sigma,
                 const Tensor& c,
                 bool grad_through_sigma = true);

/// Both passes: call it once, after all micro-batches and ranks have added to the gradients and before anybody reads them.
void sigma_finish_gradients(std::span<const SigmaMatrix> matrices,
                            const Tensor& u,
                            const Tensor& v,
                            const Tensor& sigma,
                            bool grad_through_sigma = true);

using SigmaProductsKernels = KernelTable<void(std::span<const SigmaMatrix> matrices, Tensor& c)>;
SigmaProductsKernels& sigma_products_kernels();
using SigmaApplyKernels = KernelTable<void(std::span<const SigmaMatrix> matrices,
                                           const Tensor& u,
                                           const Tensor& v,
                                           const Tensor& sigma,
                                           const Tensor& c,
                                           bool grad_through_sigma)>;
SigmaApplyKernels& sigma_apply_kernels();

}  // namespace clausius::ops
