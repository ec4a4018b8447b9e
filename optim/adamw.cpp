// SPDX-License-Identifier: Apache-2.0
// AdamW, one fused pass a step.
#include "core/ops/adamw/adamw.h"

#include <array>

#include "optim/optimizer.h"
#include "optim/owned_parts.h"

namespace clausius {
namespace {

struct AdamwConfig {
  static constexpr std::string_view kDoc = "Adam with decoupled weight decay.";

  OptimizerCommon common = {.weight_decay = 0.1};
  std::array<double, 2> betas = {0.9, 0.95};
  double eps = 1e-8;
  bool decoupled = true;

  void visit(ConfigVisitor& v) {
    common.visit(v);
    v.field("betas", betas, "decay of the running mean and the running mean square", zero_to_one);
    v.field("eps", eps, "added to the root of the mean square", positive);
    v.field("decoupled", decoupled, "false: decay enters the gradient (Adam with L2)");
  }
};

/// State: exp_avg, exp_avg_sq.
/// Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization".
class Adamw final : public Optimizer {
 public:
  Adamw(const AdamwConfig& config, ParameterStore& parameters)
      : config_(config),
        parts_(parameters, config.common.groups, config.common.weight_decay),
        exp_avg_(parts_.make_state()),
        exp_avg_sq_(parts_.make_state()) {}

  Tensor step(const OptimizerStep& step) override {
    const ops::AdamwStep pass{.lr = step.lr,
                              .beta1 = config_.betas[0],
                              .beta2 = config_.betas[1],
                              .eps = config_.eps,
                              .decoupled = config_.decoupled,
                              .gradient_scale = step.gradient_scale,
                              .step = step.step};
    return parts_.update([&](OwnedPart& part) {
      Tensor exp_avg = exp_avg_.slice(0, part.state.begin, part.state.end);
      Tensor exp_avg_sq = exp_avg_sq_.slice(0, part.state.begin, part.state.end);
      return ops::adamw(part.gradient, exp_avg, exp_avg_sq, part.master, part.compute, part.ranges,
                        pass);
    });
  }
  std::vector<OptimizerState> state() override {
    return {{"exp_avg", exp_avg_}, {"exp_avg_sq", exp_avg_sq_}};
  }
  double peak_lr() const override { return config_.common.lr; }

 private:
  AdamwConfig config_;
  OwnedParts parts_;
  Tensor exp_avg_;
  Tensor exp_avg_sq_;
};

CLS_REGISTER(Optimizer, "adamw", Adamw, AdamwConfig);

}  // namespace
}  // namespace clausius
