// SPDX-License-Identifier: Apache-2.0
// Gradient rule of the LM head with cross entropy.
#include "autograd/rules/lm_head_cross_entropy.h"

#include "autograd/tape.h"
#include "core/ops/binary/binary.h"
#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy.h"

namespace clausius {
namespace {

void give_scaled(Backward& b, int input, const Tensor& unit_gradient) {
  if (b.needs(input)) {
    Destination into = b.destination(input);
    ops::lm_head_cross_entropy_backward(b.dy(), unit_gradient, into.tensor, into.accumulate);
  }
}

}  // namespace

// dx = dy dx1;  dW = dy dW1, with the unit gradients dx1, dW1 of the forward pass. Saves those.
LmHeadCrossEntropy lm_head_cross_entropy(const Variable& x,
                                         const Variable& weight_VM,
                                         const Tensor& targets,
                                         const Tensor& token_weights,
                                         const Tensor& z_weight,
                                         const Tensor& alpha) {
  ops::LmHeadLoss loss =
      ops::lm_head_cross_entropy(x.value(), weight_VM.value(), targets, token_weights,
                                 {.dx = x.tracked(),
                                  .dweight = weight_VM.tracked(),
                                  .chunk_bytes = ops::lm_head_chunk_bytes(x.value().device().kind),
                                  .z_weight = z_weight,
                                  .alpha = alpha});
  const auto backward = [dx = loss.dx, dweight = loss.dweight_VM](Backward& b) {
    give_scaled(b, 0, dx);
    give_scaled(b, 1, dweight);
  };
  const Dtype wide = loss.lse_N.dtype();
  const Tensor sum = loss.loss_sum.to(wide);
  LmHeadCrossEntropy result{.loss_sum = Variable(sum),
                            .optimized = Variable(),
                            .token_loss_N = loss.token_loss_N,
                            .lse_N = loss.lse_N,
                            .lse_sums = loss.lse_sums};
  if (z_weight) {
    const Tensor z_loss =
        ops::mul(loss.lse_sums.select(0, 0).to(wide), z_weight.to(wide).reshape({}));
    result.optimized =
        record("lm_head_cross_entropy", ops::add(sum, z_loss), {x, weight_VM}, backward);
  } else {
    result.loss_sum = record("lm_head_cross_entropy", sum, {x, weight_VM}, backward);
    result.optimized = result.loss_sum;
  }
  return result;
}

}  // namespace clausius
