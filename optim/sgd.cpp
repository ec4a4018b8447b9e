// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent with momentum.
#include "core/ops/sgd/sgd.h"

#include <cmath>

#include "optim/optimizer.h"

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
      : config_(config),
        parameters_(parameters),
        ranges_(update_ranges(parameters, config.common.groups, config.common.weight_decay)) {
    if (config.momentum > 0) {
      velocity_ =
          Tensor::zeros({parameters.size()}, parameters.master().dtype(), parameters.device());
    }
  }

  double step(const OptimizerStep& step) override {
    const ops::SgdStep pass{.lr = step.lr,
                            .momentum = config_.momentum,
                            .nesterov = config_.nesterov,
                            .gradient_scale = step.gradient_scale};
    return std::sqrt(ops::sgd(parameters_.gradients(), velocity_, parameters_.master(),
                              parameters_.compute_copy(), ranges_, pass));
  }
  std::vector<OptimizerState> state() override {
    return velocity_.defined() ? std::vector<OptimizerState>{{"velocity", velocity_}}
                               : std::vector<OptimizerState>{};
  }
  double peak_lr() const override { return config_.common.lr; }
  const std::vector<UpdateRange>& ranges() const override { return ranges_; }

 private:
  SgdConfig config_;
  ParameterStore& parameters_;
  std::vector<UpdateRange> ranges_;
  Tensor velocity_;
};

CLS_REGISTER(Optimizer, "sgd", Sgd, SgdConfig);

}  // namespace
}  // namespace clausius
