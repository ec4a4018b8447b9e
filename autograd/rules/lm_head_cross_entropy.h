// SPDX-License-Identifier: Apache-2.0
// The differentiable LM head with its cross entropy.
#pragma once

#include "autograd/variable.h"
#include "core/tensor.h"

namespace clausius {

struct LmHeadCrossEntropy {
  Variable
      loss_sum;  // [], f32 (f64 for f64 x): sum of token_weight * token_loss; a constant where there is a z_weight
  Variable optimized;   // loss_sum + z_weight z_sum; loss_sum itself without a z_weight
  Tensor token_loss_N;  // nats, 0 where ignored
  Tensor lse_N;         // log-sum-exp of the logits, 0 where ignored
  Tensor
      lse_sums;  // [3], f64: z_sum = sum of token_weight * lse^2; the sum of lse; the largest lse
};

/// x (.., M), weight [V, M], targets (..) i32 with -100 ignored, token_weights (..) f32 or undefined, z_weight [] f64 or undefined
/// -> losses. Gradients are made in the forward pass, and only if x or weight is tracked; the backward pass scales them. They are
/// those of `optimized`: z_loss adds no pass, and so its weight, relative to that of the loss, must be known now.
/// `alpha`, one element where the weight is, multiplies the logits; the weight then gets the gradient of alpha weight, as in linear.
/// See ops::lm_head_cross_entropy. Compute-bound.
[[nodiscard]] LmHeadCrossEntropy lm_head_cross_entropy(const Variable& x,
                                                       const Variable& weight_VM,
                                                       const Tensor& targets,
                                                       const Tensor& token_weights = {},
                                                       const Tensor& z_weight = {},
                                                       const Tensor& alpha = {});

}  // namespace clausius
