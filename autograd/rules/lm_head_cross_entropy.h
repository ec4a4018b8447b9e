// SPDX-License-Identifier: Apache-2.0
// The differentiable LM head with its cross entropy.
#pragma once

#include "autograd/variable.h"
#include "core/tensor.h"

namespace clausius {

struct LmHeadCrossEntropy {
  Variable loss_sum;    // [], f32 (f64 for f64 x): sum of token_weight * token_loss
  Tensor token_loss_N;  // nats, 0 where ignored
  Tensor lse_N;         // log-sum-exp of the logits, 0 where ignored
};

/// x (.., M), weight [V, M], targets (..) i32 with -100 ignored, token_weights (..) f32 or undefined -> losses.
/// `alpha`, one element where the weight is, multiplies the logits; the weight then gets the gradient of alpha weight, as in linear.
/// Gradients are made in the forward pass, and only if x or weight is tracked; the backward pass scales them.
/// See ops::lm_head_cross_entropy. Compute-bound.
[[nodiscard]] LmHeadCrossEntropy lm_head_cross_entropy(const Variable& x,
                                                       const Variable& weight_VM,
                                                       const Tensor& targets,
                                                       const Tensor& token_weights = {},
                                                       const Tensor& alpha = {});

}  // namespace clausius
