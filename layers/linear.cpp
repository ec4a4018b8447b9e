// SPDX-License-Identifier: Apache-2.0
// Linear: parameters and one op.
#include "layers/linear.h"

#include "autograd/rules/linear.h"

namespace clausius {

Linear::Linear(std::int64_t in,
               std::int64_t out,
               const LinearOptions& options,
               const InitStream& init)
    : weight_(&init.weight("weight", options.role, {out, in}, options.residual_output)) {
  if (options.bias) {
    bias_ = &init.constant("bias", Role::kBias, {out}, 0.0);
  }
}

Variable Linear::forward(const Variable& x) const {
  return linear(x, weight_->variable(), bias_ == nullptr ? Variable() : bias_->variable());
}

Variable Linear::forward(const Variable& x, const PointwiseOp& f) const {
  return linear_activation(x, weight_->variable(),
                           bias_ == nullptr ? Variable() : bias_->variable(), f);
}

}  // namespace clausius
