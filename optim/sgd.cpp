// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent with momentum.
#include "core/ops/sgd/sgd.h"

#include "optim/optimizer.h"
#include "optim/owned_parts.h"

namespace clausius {
namespace {

struct SgdConfig {
  static constexpr std::string_view kDoc = "Stochastic gradient descent with momentum.";

  OptimizerCommon common;
  double momentum = 0.9;
  bool nesterov = false;

  void visit(ConfigVisitor& v) {
    common.visit(v);
    v.field("momentum", momentum, "decay of the velocity", zero_to_one);
    v.field("nesterov", nesterov, "look ahead along the velocity");
  }
};

/// State: velocity (with momentum).
class Sgd final : public Optimizer {
 public:
  Sgd(const SgdConfig& config, ParameterStore& parameters)
      : config_(config), parts_(parameters, config.common.groups, config.common.weight_decay) {
    if (config.momentum > 0) {
      velocity_ = parts_.make_state();
    }
  }

  Tensor step(const OptimizerStep& step) override {
    const ops::SgdStep pass{.lr = step.lr,
                            .momentum = config_.momentum,
                            .nesterov = config_.nesterov,
                            .gradient_scale = step.gradient_scale};
    return parts_.update([&](OwnedPart& part) {
      Tensor velocity =
          velocity_.defined() ? velocity_.slice(0, part.state.begin, part.state.end) : Tensor();
      return ops::sgd(part.gradient, velocity, part.master, part.compute, part.ranges, pass);
    });
  }
  std::vector<OptimizerState> state() override {
    return velocity_.defined() ? std::vector<OptimizerState>{{"velocity", velocity_}}
                               : std::vector<OptimizerState>{};
  }
  double peak_lr() const override { return config_.common.lr; }

 private:
  SgdConfig config_;
  OwnedParts parts_;
  Tensor velocity_;
};

CLS_REGISTER(Optimizer, "sgd", Sgd, SgdConfig);

}  // namespace
}  // namespace clausius
