// SPDX-License-Identifier: Apache-2.0
// The gains gamma of many matrices, which lie apart in a model's parameters, and what is made of them: a few numbers a matrix.
#pragma once

#include <span>

#include "core/kernel_table.h"
#include "core/tensor.h"

namespace clausius::ops {

/// alpha_e = gamma_e / sigma_e.
/// Shapes:  gammas [E] tensors of one element, 1 where undefined; sigma [E] -> gamma [E], alpha [E]
/// Value:   divided in f64, rounded once.
/// Errors:  ShapeError, DtypeError unless everything is f32 (or f64) and in one place.
void sigma_alphas(std::span<const Tensor> gammas,
                  const Tensor& sigma_E,
                  Tensor& gamma_E,
                  Tensor& alpha_E);

/// dgamma_e = <G_e, W_e> / sigma_e, with the products that sigma_products left.
/// Shapes:  c [E, S] f64, each row to be added up; sigma [E] -> dgammas [E] tensors of one element, nothing where undefined
/// Errors:  as above.
void sigma_gain_gradients(std::span<const Tensor> dgammas,
                          const Tensor& sigma_E,
                          const Tensor& c_ES);

using SigmaAlphasKernels = KernelTable<void(
    std::span<const Tensor> gammas, const Tensor& sigma_E, Tensor& gamma_E, Tensor& alpha_E)>;
SigmaAlphasKernels& sigma_alphas_kernels();
using SigmaGainGradientsKernels =
    KernelTable<void(std::span<const Tensor> dgammas, const Tensor& sigma_E, const Tensor& c_ES)>;
SigmaGainGradientsKernels& sigma_gain_gradients_kernels();

}  // namespace clausius::ops
