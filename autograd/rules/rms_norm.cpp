// SPDX-License-Identifier: Apache-2.0
// Gradient rule of rms_norm.
#include "autograd/rules/rms_norm.h"

#include "autograd/tape.h"
#include "core/ops/rms_norm/rms_norm.h"

namespace clausius {

// Saves x, gain and the row statistic.
Variable rms_norm(const Variable& x, const Variable& gain, double eps) {
  ops::RmsNormOutput out = ops::rms_norm(x.value(), gain.value(), eps);
  return record(
      "rms_norm", out.y, {x, gain},
      [x = x.value(), gain = gain.value(), rstd = out.rstd](const Tensor& dy) -> Gradients {
        ops::RmsNormGradients d = ops::rms_norm_backward(dy, x, gain, rstd);
        return {d.dx, d.dgain};
      });
}

}  // namespace clausius
