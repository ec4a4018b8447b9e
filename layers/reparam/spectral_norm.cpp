// SPDX-License-Identifier: Apache-2.0
// spectral_norm: weights divided by their spectral norm, nothing learned.
#include "layers/reparam/spectral.h"

namespace clausius {
namespace {

struct SpectralNormConfig : SpectralKnobs {
  static constexpr std::string_view kDoc =
      "W_hat = W / sigma(W): every matrix has spectral norm 1.";
  [[nodiscard]] ReparamFacts facts() const { return {.apply_to = apply_to, .scale_free = true}; }
};

/// Source:  Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks".
class SpectralNorm final : public SpectralReparam {
 public:
  SpectralNorm(const SpectralNormConfig& config, ParameterStore& store, std::uint64_t seed)
      : SpectralReparam(config, /*grad_through_sigma=*/true, store, seed) {}

 protected:
  Parameter* make_gain(const InitStream& /*init*/, std::int64_t /*rows*/) override {
    return nullptr;
  }
};

CLS_REGISTER(Reparam, "spectral_norm", SpectralNorm, SpectralNormConfig);

}  // namespace
}  // namespace clausius
