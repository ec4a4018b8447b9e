// SPDX-License-Identifier: Apache-2.0
// From gradients of W_hat = gamma / sigma(W) W to gradients of W and gamma, for many matrices at once.
#pragma once

#include <span>

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// One reparametrised matrix, or a piece of one: where ranks share the gradients, each has some of its elements.
struct SigmaMatrix {
  Tensor weight_MN{};    // the master
  Tensor gradient_MN{};  // as weight, dense rows; G = dL/dW_hat before, dL/dW afterwards
  Tensor u_N{};          // the columns' part of the right vector
  Tensor v_M{};          // the rows' part of the left one
  Tensor sigma{};        // one element: v^T W u of the whole matrix
  Tensor gamma{};        // one element; 1 when undefined
  Tensor c_S{};          // f64; <G, W> of the whole matrix is the sum of its elements
  std::int64_t slot{};   // the element of c that is this piece's to write
};

/// c[slot] = <G, W>, the first of two passes: where ranks hold a share of the gradients each, c is linear in G and is summed over them.
/// Value:   products and sums in f64 over fixed chunks: the same bits whatever the number of threads.
/// Errors:  ShapeError, DtypeError unless all parts of each matrix fit and are f32 (or f64; c always) in one place.
/// Cost:    memory-bound, one reading of weights and gradients.
void sigma_products(std::span<const SigmaMatrix> matrices);

/// gradient = gamma / sigma (G - (c / sigma) v u^T): u and v are constants, sigma = v^T W u is not. Without `grad_through_sigma` the
/// rank-one term is left out.
/// Value:   <dL/dW, W> = 0 up to rounding for any u and v with sigma = v^T W u.
/// Errors:  as above.
/// Cost:    memory-bound, one reading and one writing of the gradients.
/// Source:  Zhai et al. 2023, "Stabilizing Transformer Training by Preventing Attention Entropy Collapse".
void sigma_apply(std::span<const SigmaMatrix> matrices, bool grad_through_sigma = true);

/// Both passes: call it once, after all micro-batches and ranks have added to the gradients and before anybody reads them.
/// dL/dgamma = c / sigma is ops::sigma_gain_gradients.
void sigma_finish_gradients(std::span<const SigmaMatrix> matrices, bool grad_through_sigma = true);

using SigmaProductsKernels = KernelTable<void(std::span<const SigmaMatrix> matrices)>;
SigmaProductsKernels& sigma_products_kernels();
using SigmaApplyKernels =
    KernelTable<void(std::span<const SigmaMatrix> matrices, bool grad_through_sigma)>;
SigmaApplyKernels& sigma_apply_kernels();

}  // namespace clausius::ops
