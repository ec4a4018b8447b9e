// SPDX-License-Identifier: Apache-2.0
// Gradient rule of layer_norm.
#include "autograd/rules/layer_norm.h"

#include "autograd/tape.h"
#include "core/ops/layer_norm/layer_norm.h"

namespace clausius {

// Saves x, gain and the row statistics.
Variable layer_norm(const Variable& x, const Variable& gain, const Variable& bias, double eps) {
  ops::LayerNormOutput out = ops::layer_norm(x.value(), gain.value(), bias.value(), eps);
  return record(
      "layer_norm", out.y, {x, gain, bias},
      [x = x.value(), gain = gain.value(), mean = out.mean, rstd = out.rstd](Backward& b) {
        ops::LayerNormGradients d =
            ops::layer_norm_backward(b.dy(), x, gain, mean, rstd, b.needs(2));
        b.give(0, d.dx);
        b.give(1, d.dgain);
        b.give(2, d.dbias);
      });
}

}  // namespace clausius
