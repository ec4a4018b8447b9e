// SPDX-License-Identifier: Apache-2.0
// RMSNorm: y = gain * x / sqrt(mean(x^2) + eps).
#include "autograd/rules/rms_norm.h"

#include "layers/norms/norm.h"

namespace clausius {
namespace {

struct RmsNormConfig {
  static constexpr std::string_view kDoc = "gain * x / sqrt(mean(x^2) + eps).";

  NormPlace place = NormPlace::kPre;
  double eps = 1e-5;

  void visit(ConfigVisitor& v, const LayerShape& /*shape*/) {
    v.field("place", place, "before a branch, or after branch and residual");
    v.field("eps", eps, "added to the mean square before the root", positive);
  }
};

/// Parameters: gain [M], starting at 1.
/// Source:  Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".
class RmsNorm final : public Norm {
 public:
  RmsNorm(const RmsNormConfig& config, const LayerShape& shape, const InitStream& init)
      : config_(config), gain_(init.constant("gain", Role::kGain, {shape.model_dim}, 1.0)) {}

  Variable forward(const Variable& x) const override {
    return rms_norm(x, gain_.variable(), config_.eps);
  }
  NormPlace place() const override { return config_.place; }

 private:
  RmsNormConfig config_;
  Parameter& gain_;
};

CLS_REGISTER(Norm, "rms_norm", RmsNorm, RmsNormConfig);

}  // namespace
}  // namespace clausius
