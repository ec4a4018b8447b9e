// SPDX-License-Identifier: Apache-2.0
// Linear: parameters and one op.
#include "layers/linear.h"

#include "autograd/rules/linear.h"

namespace clausius {
namespace {

std::vector<WeightRows> rows_of(const LinearOptions& options, const InitStream& init) {
  std::vector<WeightRows> rows;
  if (init.part()) {
    for (const auto& [name, count] : options.fused) {
      rows.push_back({.name = name, .part = *init.part(), .rows = count});
    }
  }
  return rows;
}

}  // namespace

Linear::Linear(std::int64_t in,
               std::int64_t out,
               const LinearOptions& options,
               const InitStream& init)
    : weight_(&init.weight("weight", options.role, {out, in}, options.residual_output)),
      scales_(&init.reparametrize(*weight_, rows_of(options, init))) {
  if (options.bias) {
    bias_ = &init.constant("bias", Role::kBias, {out}, 0.0);
  }
}

Variable Linear::forward(const Variable& x) const {
  return linear(x, weight_->variable(), bias_ == nullptr ? Variable() : bias_->variable(),
                *scales_);
}

Variable Linear::forward(const Variable& x, const PointwiseOp& f) const {
  return linear_activation(x, weight_->variable(),
                           bias_ == nullptr ? Variable() : bias_->variable(), f, *scales_);
}

}  // namespace clausius
