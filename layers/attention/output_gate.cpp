// SPDX-License-Identifier: Apache-2.0
// The gate's matrices and its product with the mixer's output.
#include "layers/attention/output_gate.h"

#include "autograd/rules/binary.h"
#include "core/ops/pointwise.h"

namespace clausius {

OutputGate::OutputGate(const OutputGateChoice& choice,
                       std::int64_t width,
                       std::int64_t head_dim,
                       const InitStream& init) {
  const std::int64_t model_dim = init.shape().model_dim;
  if (std::holds_alternative<NoKind>(choice)) {
    return;
  }
  if (const auto* low_rank = std::get_if<LowRankGate>(&choice)) {
    const std::int64_t rank = low_rank->rank.value_or(head_dim);
    down_.emplace(model_dim, rank, LinearOptions{}, init.child("gate_down"));
    gate_.emplace(rank, width, LinearOptions{}, init.child("gate_up"));
    activation_ = Activation::kSigmoid;
    return;
  }
  gate_.emplace(model_dim, width, LinearOptions{}, init.child("gate"));
  if (std::holds_alternative<SiluGate>(choice)) {
    activation_ = Activation::kSilu;
  } else if (std::holds_alternative<SigmoidGate>(choice)) {
    activation_ = Activation::kSigmoid;
  }
}

Variable OutputGate::forward(const Variable& y_BTF, const Variable& x_BTM) const {
  if (!gate_) {
    return y_BTF;
  }
  const Variable x = down_ ? down_->forward(x_BTM) : x_BTM;
  switch (activation_) {
    case Activation::kIdentity:
      return mul(y_BTF, gate_->forward(x));
    case Activation::kSilu:
      return mul(y_BTF,
                 gate_->forward(x, {ops::silu_forward_kernels(), ops::silu_backward_kernels()}));
    case Activation::kSigmoid:
      return mul(y_BTF, gate_->forward(
                            x, {ops::sigmoid_forward_kernels(), ops::sigmoid_backward_kernels()}));
  }
  return {};
}

}  // namespace clausius
