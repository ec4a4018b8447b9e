// SPDX-License-Identifier: Apache-2.0
// LayerNorm: y = gain * (x - mean) / sqrt(variance + eps) + bias.
#include "autograd/rules/layer_norm.h"

#include "layers/norms/norm.h"

namespace clausius {
namespace {

struct LayerNormConfig {
  static constexpr std::string_view kDoc = "gain * (x - mean) / sqrt(variance + eps) + bias.";

  NormPlace place = NormPlace::kPre;
  double eps = 1e-5;
  bool bias = true;

  void visit(ConfigVisitor& v, const LayerShape& /*shape*/) {
    v.field("place", place, "before a branch, or after branch and residual");
    v.field("eps", eps, "added to the variance before the root", positive);
    v.field("bias", bias, "a learned shift beside the gain");
  }
};

/// Parameters: gain [M], starting at 1; bias [M], starting at 0, where asked for.
/// Source:  Ba, Kiros and Hinton 2016, "Layer Normalization".
class LayerNorm final : public Norm {
 public:
  LayerNorm(const LayerNormConfig& config, const LayerShape& shape, const InitStream& init)
      : config_(config), gain_(init.constant("gain", Role::kGain, {shape.model_dim}, 1.0)) {
    if (config.bias) {
      bias_ = &init.constant("bias", Role::kBias, {shape.model_dim}, 0.0);
    }
  }

  Variable forward(const Variable& x) const override {
    return layer_norm(x, gain_.variable(), bias_ == nullptr ? Variable() : bias_->variable(),
                      config_.eps);
  }
  NormPlace place() const override { return config_.place; }

 private:
  LayerNormConfig config_;
  Parameter& gain_;
  Parameter* bias_ = nullptr;
};

CLS_REGISTER(Norm, "layer_norm", LayerNorm, LayerNormConfig);

}  // namespace
}  // namespace clausius
