// SPDX-License-Identifier: Apache-2.0
// Both normalisations are rms_norm: over D numbers an L2 norm is sqrt(D) times the root mean square.
#include "layers/attention/qk_norm.h"

#include <cmath>

#include "autograd/rules/rms_norm.h"

namespace clausius {

QkNorm::QkNorm(const QkNormChoice& choice, const HeadCounts& heads, const InitStream& init) {
  const auto dim = static_cast<double>(heads.dim);
  if (const auto* rms = std::get_if<QkRmsNorm>(&choice)) {
    q_gain_ = &init.child("q_norm").constant("gain", Role::kGain, {heads.dim}, 1.0);
    k_gain_ = &init.child("k_norm").constant("gain", Role::kGain, {heads.dim}, 1.0);
    eps_ = rms->eps;
  } else if (const auto* l2 = std::get_if<QkL2Norm>(&choice)) {
    scale_ = &init.constant("qk_scale", Role::kScale, {heads.query}, std::sqrt(dim));
    eps_ = l2->eps / dim;
    score_factor_ = 1.0 / dim;
  }
}

HeadProjections QkNorm::forward(HeadProjections heads) const {
  if (q_gain_ != nullptr) {
    heads.q_BTHD = rms_norm(heads.q_BTHD, q_gain_->variable(), eps_);
    heads.k_BTGD = rms_norm(heads.k_BTGD, k_gain_->variable(), eps_);
  } else if (scale_ != nullptr) {
    heads.q_BTHD = rms_norm(heads.q_BTHD, {}, eps_);
    heads.k_BTGD = rms_norm(heads.k_BTGD, {}, eps_);
  }
  return heads;
}

Variable QkNorm::head_scale() const {
  return scale_ == nullptr ? Variable() : scale_->variable();
}

}  // namespace clausius
