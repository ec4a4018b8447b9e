// SPDX-License-Identifier: Apache-2.0
// sigma: spectrally normalised weights with a learned gain.
#include <algorithm>

#include "layers/reparam/spectral.h"

namespace clausius {
namespace {

enum class GammaStart { kSpectralNorm };
constexpr auto words_of(GammaStart /*unused*/) {
  return words("spectral_norm");
}

enum class QkvGrouping { kJoint, kQkV, kSeparate };
constexpr auto words_of(QkvGrouping /*unused*/) {
  return words("joint", "qk_v", "separate");
}

struct SigmaConfig : SpectralKnobs {
  static constexpr std::string_view kDoc =
      "W_hat = gamma / sigma(W) W: the spectral norm of a matrix is one learned number.";

  std::variant<double, GammaStart> gamma_init = 1.0;
  QkvGrouping qkv_grouping = QkvGrouping::kSeparate;
  bool grad_through_sigma = true;

  [[nodiscard]] ReparamFacts facts() const { return {.apply_to = apply_to, .scale_free = true}; }

  void visit(ConfigVisitor& v) {
    SpectralKnobs::visit(v);
    v.field("gamma_init", gamma_init,
            "gains at the start; spectral_norm: as the plain model starts", positive);
    v.field("qkv_grouping", qkv_grouping, "which of q, k and v share a norm and a gain");
    v.field("grad_through_sigma", grad_through_sigma,
            "false leaves the norm's own gradient out, for ablations");
  }

  void validate(const ConfigCheck& check) const {
    const bool q = applies(apply_to, LinearPart::kQ);
    const bool k = applies(apply_to, LinearPart::kK);
    const bool v = applies(apply_to, LinearPart::kV);
    check.that(qkv_grouping != QkvGrouping::kJoint || (q == k && k == v), "qkv_grouping",
               "joint takes q, k and v as one matrix; apply_to names some of them alone");
    check.that(qkv_grouping != QkvGrouping::kQkV || q == k, "qkv_grouping",
               "qk_v takes q and k as one matrix; apply_to names one of them alone");
  }
};

/// Parameters: PATH.gamma [1] of each matrix, role gamma: PATH is the layer's (blocks.0.mixer.out), for fused projections that of the
///             part (qkv.q, qkv.k, qkv.v; qkv.qk and qkv.v; or qkv; gate_up.gate and gate_up.up).
/// Source:     Zhai et al. 2023, "Stabilizing Transformer Training by Preventing Attention Entropy Collapse".
class Sigma final : public SpectralReparam {
 public:
  Sigma(const SigmaConfig& config, ParameterStore& store, std::uint64_t seed)
      : SpectralReparam(config, config.grad_through_sigma, store, seed), config_(config) {}

 protected:
  std::vector<WeightRows> grouped(std::vector<WeightRows> rows) const override {
    if (rows.size() != 3 || rows[0].part != LinearPart::kQ ||
        config_.qkv_grouping == QkvGrouping::kSeparate) {
      return rows;
    }
    const std::int64_t qk = rows[0].rows + rows[1].rows;
    if (config_.qkv_grouping == QkvGrouping::kQkV) {
      return {{.name = "qk", .part = LinearPart::kQ, .rows = qk}, rows[2]};
    }
    return {{.name = "", .part = LinearPart::kQ, .rows = qk + rows[2].rows}};
  }

  Parameter* make_gain(const InitStream& init, std::int64_t /*rows*/) override {
    const double* value = std::get_if<double>(&config_.gamma_init);
    return &init.constant("gamma", Role::kGamma, {1}, value != nullptr ? *value : 1.0);
  }

  void initialize() override {
    SpectralReparam::initialize();
    if (std::holds_alternative<GammaStart>(config_.gamma_init)) {
      for (std::size_t e = 0; e < matrices().size(); ++e) {
        matrices()[e].gain->master().fill(exact_norm(e));
      }
    }
  }

 private:
  SigmaConfig config_;
};

CLS_REGISTER(Reparam, "sigma", Sigma, SigmaConfig);

}  // namespace
}  // namespace clausius
