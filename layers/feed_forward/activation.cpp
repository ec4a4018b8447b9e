// SPDX-License-Identifier: Apache-2.0
// Activations by their choice.
#include "layers/feed_forward/activation.h"

#include "autograd/rules/leaky_relu.h"
#include "core/ops/pointwise.h"

namespace clausius {
namespace {

// The op behind a choice without keys; identity has none.
std::optional<PointwiseOp> plain_op(const ActivationChoice& choice) {
  if (std::holds_alternative<GeluActivation>(choice)) {
    return PointwiseOp{ops::gelu_forward_kernels(), ops::gelu_backward_kernels()};
  }
  if (std::holds_alternative<GeluErfActivation>(choice)) {
    return PointwiseOp{ops::gelu_erf_forward_kernels(), ops::gelu_erf_backward_kernels()};
  }
  if (std::holds_alternative<ReluActivation>(choice)) {
    return PointwiseOp{ops::relu_forward_kernels(), ops::relu_backward_kernels()};
  }
  if (std::holds_alternative<SiluActivation>(choice)) {
    return PointwiseOp{ops::silu_forward_kernels(), ops::silu_backward_kernels()};
  }
  return std::nullopt;
}

}  // namespace

FeedForwardActivation::FeedForwardActivation(const ActivationChoice& choice, const InitStream& init)
    : choice_(choice) {
  const auto* leaky = std::get_if<LeakyReluActivation>(&choice);
  if (leaky == nullptr || leaky->learn_slope == LearnSlope::kNone) {
    return;
  }
  slope_ = leaky->learn_slope == LearnSlope::kPerLayer
               ? &init.constant("slope", Role::kSlope, {1}, leaky->slope_init)
               : &init.shared_constant("feed_forward.slope", Role::kSlope, {1}, leaky->slope_init);
}

Variable FeedForwardActivation::after(const Linear& linear, const Variable& x) const {
  if (const std::optional<PointwiseOp> op = plain_op(choice_)) {
    return linear.forward(x, *op);
  }
  const auto* leaky = std::get_if<LeakyReluActivation>(&choice_);
  if (leaky == nullptr) {
    return linear.forward(x);
  }
  const Tensor& weight = linear.weight().master();
  const Variable slope =
      slope_ != nullptr
          ? slope_->variable()
          : Variable(Tensor::full({1}, leaky->slope_init, weight.dtype(), weight.device()));
  return leaky_relu(linear.forward(x), slope);
}

std::vector<Parameter*> FeedForwardActivation::shared_parameters() const {
  const auto* leaky = std::get_if<LeakyReluActivation>(&choice_);
  return leaky != nullptr && leaky->learn_slope == LearnSlope::kGlobal
             ? std::vector<Parameter*>{slope_}
             : std::vector<Parameter*>();
}

}  // namespace clausius
