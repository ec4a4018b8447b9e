// SPDX-License-Identifier: Apache-2.0
// The output norm's parameters, and its op by kind.
#include "layers/attention/output_norm.h"

#include "autograd/rules/layer_norm.h"
#include "autograd/rules/rms_norm.h"

namespace clausius {

OutputNorm::OutputNorm(const OutputNormChoice& choice, std::int64_t width, const InitStream& init)
    : choice_(choice) {
  const InitStream own = init.child("output_norm");
  const bool layer = std::holds_alternative<OutputLayerNorm>(choice);
  if (layer || std::holds_alternative<OutputRmsNorm>(choice)) {
    gain_ = &own.constant("gain", Role::kGain, {width}, 1.0);
  }
  if (layer) {
    bias_ = &own.constant("bias", Role::kBias, {width}, 0.0);
  }
}

Variable OutputNorm::forward(const Variable& y_BTF) const {
  if (const auto* rms = std::get_if<OutputRmsNorm>(&choice_)) {
    return rms_norm(y_BTF, gain_->variable(), rms->eps);
  }
  if (const auto* simple = std::get_if<OutputSimpleRmsNorm>(&choice_)) {
    return rms_norm(y_BTF, {}, simple->eps);
  }
  if (const auto* layer = std::get_if<OutputLayerNorm>(&choice_)) {
    return layer_norm(y_BTF, gain_->variable(), bias_->variable(), layer->eps);
  }
  return y_BTF;
}

}  // namespace clausius
