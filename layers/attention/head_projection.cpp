// SPDX-License-Identifier: Apache-2.0
// The fused projection and its cut into heads.
#include "layers/attention/head_projection.h"

#include <algorithm>
#include <array>

#include "autograd/rules/linear.h"
#include "autograd/rules/views.h"
#include "autograd/tape.h"

namespace clausius {

bool has_bias(const BiasOf& bias, Projection projection) {
  if (const bool* all = std::get_if<bool>(&bias)) {
    return *all;
  }
  const auto& list = std::get<std::vector<Projection>>(bias);
  return std::find(list.begin(), list.end(), projection) != list.end();
}

HeadProjection::HeadProjection(std::int64_t model_dim,
                               const HeadCounts& heads,
                               const BiasOf& bias,
                               const InitStream& init)
    : heads_(heads),
      weight_(&init.weight(
          "weight", Role::kMatrix, {(heads.query + 2 * heads.key) * heads.dim, model_dim})),
      scales_(&init.reparametrize(
          *weight_,
          {{.name = "q", .part = LinearPart::kQ, .rows = heads.query * heads.dim},
           {.name = "k", .part = LinearPart::kK, .rows = heads.key * heads.dim},
           {.name = "v", .part = LinearPart::kV, .rows = heads.key * heads.dim}})) {
  constexpr std::array kParts = {Projection::kQ, Projection::kK, Projection::kV};
  for (const Projection part : kParts) {
    const std::int64_t count = part == Projection::kQ ? heads.query : heads.key;
    biases_.push_back(
        has_bias(bias, part)
            ? &init.child(word_of(part)).constant("bias", Role::kBias, {count * heads.dim}, 0.0)
            : nullptr);
  }
  if (std::none_of(biases_.begin(), biases_.end(),
                   [](const Parameter* parameter) { return parameter != nullptr; })) {
    biases_.clear();
  }
}

Parameter* HeadProjection::bias_of(Projection projection) const {
  const auto part = static_cast<std::size_t>(projection);  // q, k, v in this order
  return part < biases_.size() ? biases_[part] : nullptr;
}

Variable HeadProjection::bias() const {
  if (biases_.empty()) {
    return {};
  }
  std::vector<Variable> parts;
  for (std::size_t i = 0; i < biases_.size(); ++i) {
    const std::int64_t count = i == 0 ? heads_.query : heads_.key;
    parts.push_back(biases_[i] != nullptr
                        ? biases_[i]->variable()
                        : Variable(Tensor::zeros({count * heads_.dim}, weight_->master().dtype(),
                                                 weight_->master().device())));
  }
  return concat(parts, 0);
}

HeadProjections HeadProjection::forward(const Variable& x_BTM) const {
  const Variable qkv = linear(x_BTM, weight_->variable(), bias(), *scales_);
  const std::array<std::int64_t, 3> counts = {heads_.query, heads_.key, heads_.key};
  std::vector<Variable> parts = split_heads(qkv, counts, heads_.dim);
  return {parts[0], parts[1], parts[2]};
}

}  // namespace clausius
