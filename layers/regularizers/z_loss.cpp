// SPDX-License-Identifier: Apache-2.0
// z_loss: keeps the log-sum-exp of the head's logits near 0.
#include "core/error.h"
#include "layers/regularizers/regularizer.h"

namespace clausius {
namespace {

struct ZLossConfig {
  static constexpr std::string_view kDoc =
      "Mean over targets of the squared log-sum-exp of the head's logits.";

  double weight = 1e-4;
  Anneal anneal = Anneal::kNone;

  void visit(ConfigVisitor& v) {
    v.field("weight", weight, "share of the term in the loss", non_negative);
    v.field("anneal", anneal, "how the weight falls to 0 at the end of the run");
  }
  [[nodiscard]] RegularizerFacts facts() const {
    return {.needs_token_head = true, .anneals = anneal != Anneal::kNone};
  }
};

/// Value and gradient come from ops::lm_head_cross_entropy, in the pass that makes the loss.
/// Source:  Chowdhery et al. 2022, "PaLM: Scaling Language Modeling with Pathways".
class ZLoss final : public Regularizer {
 public:
  ZLoss(const ZLossConfig& config, const RegularizerShape& /*shape*/, const InitStream& /*init*/)
      : config_(config) {}

  std::string_view name() const override { return "z_loss"; }
  double weight(std::int64_t step, std::int64_t steps) const override {
    return config_.weight * anneal_factor(config_.anneal, step, steps);
  }
  double count(const Batch& batch) const override { return batch.weight; }
  bool of_head() const override { return true; }
  Variable sum(const Telemetry& /*telemetry*/, const Batch& /*batch*/) const override {
    throw InternalError("the head makes the sum of z_loss");
  }

 private:
  ZLossConfig config_;
};

CLS_REGISTER(Regularizer, "z_loss", ZLoss, ZLossConfig);

}  // namespace
}  // namespace clausius
