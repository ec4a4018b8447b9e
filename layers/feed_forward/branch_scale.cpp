// SPDX-License-Identifier: Apache-2.0
// The factors' parameters, their sum, and the guard of divisors.
#include "layers/feed_forward/branch_scale.h"

#include <cmath>

#include "autograd/rules/pointwise.h"
#include "autograd/rules/scaled_add.h"
#include "core/device_backend.h"
#include "core/dry_run.h"

namespace clausius {
namespace {

constexpr double kLeastDivisor = 1e-3;

}  // namespace

BranchScale::BranchScale(const BranchScaleChoice& choice, const InitStream& init) {
  const auto* learned = std::get_if<LearnedScale>(&choice);
  if (learned == nullptr) {
    return;
  }
  const InitStream own = init.child("scale");
  divides_ = learned->parametrization == ScaleParametrization::kDivisor;
  branch_ = &own.constant(divides_ ? "alpha" : "gain", Role::kScale, {1},
                          divides_ ? learned->alpha_init : 1.0 / learned->alpha_init);
  beta_ = &own.constant("beta", Role::kScale, {1}, learned->beta_init);
}

Variable BranchScale::join(const Variable& x, const Variable& branch, std::int64_t layer) const {
  if (divides_) {
    check_divisor(layer);
  }
  const Variable gain = divides_ ? reciprocal(branch_->variable()) : branch_->variable();
  return scaled_add(x, beta_->variable(), branch, gain);
}

void BranchScale::check_divisor(std::int64_t layer) const {
  if (in_dry_run()) {
    return;
  }
  refuse_in_recording(branch_->master().device(),
                      "divisors of feed-forward branches are checked on the host in every step");
  const double alpha = branch_->master().to(kCpu).to(Dtype::kF64).item();
  CLS_CHECK(std::abs(alpha) >= kLeastDivisor, GuardError, "layer ", layer,
            ": feed_forward.scale divides by alpha = ", alpha, "; it must stay further than ",
            kLeastDivisor, " from 0: use parametrization gain, or a lower learning rate");
}

}  // namespace clausius
