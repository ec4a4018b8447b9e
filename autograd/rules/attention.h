// SPDX-License-Identifier: Apache-2.0
// Differentiable entropy-aware attention.
#pragma once

#include "autograd/variable.h"
#include "core/ops/attention/attention.h"

// Legend: B batch, T queries, S keys, H query heads, G key/value heads, D head size of q and k, E of v.
namespace clausius {

/// All but y are undefined where the engine has no gradient for them.
struct Attention {
  Variable y_BTHE;
  Variable entropy_BHT;
  Variable lse_BHT;
  Tensor max_logit_BH;
};

/// ops::attention on tensors in the order projections make them: q_BTHD, k_BSGD, v_BSGE (views allowed). `scale` and `sink` may be
/// undefined. Gradients may arrive at y, entropy and lse; those of q, k, v are written in place. Compute-bound.
[[nodiscard]] Attention attention(const Variable& q_BTHD,
                                  const Variable& k_BSGD,
                                  const Variable& v_BSGE,
                                  const Variable& scale,
                                  const Variable& sink,
                                  const ops::AttentionOptions& options);

}  // namespace clausius
