// SPDX-License-Identifier: Apache-2.0
// The two-matrix feed-forward: down(activation(up(x))).
#include "layers/feed_forward/activation.h"
#include "layers/feed_forward/feed_forward.h"
#include "layers/linear.h"

namespace clausius {
namespace {

struct MlpConfig {
  static constexpr std::string_view kDoc = "down(activation(up(x))).";

  Auto<std::int64_t> hidden_dim;
  ActivationChoice activation;
  FeedForwardCommon common;

  void visit(ConfigVisitor& v, const LayerShape& shape) {
    v.derived(
        "hidden_dim", hidden_dim, [&] { return 4 * shape.model_dim; }, "4 model_dim",
        "width between the two matrices", at_least(1));
    v.field("activation", activation, "gelu is the tanh form, gelu_erf the exact one");
    common.visit(v, shape, "biases in both matrices");
  }
  [[nodiscard]] FeedForwardTraits facts() const {
    FeedForwardTraits traits = common.facts();
    const auto* leaky = std::get_if<LeakyReluActivation>(&activation);
    if (leaky != nullptr && leaky->learn_slope == LearnSlope::kGlobal) {
      traits.shared_slope = leaky->slope_init;
    }
    return traits;
  }
};

/// Parameters: up.weight [F, M], down.weight [M, F] (residual output); biases where asked for; those of activation.h and
///             branch_scale.h.
class Mlp final : public FeedForward {
 public:
  Mlp(const MlpConfig& config, const LayerShape& shape, const InitStream& init)
      : FeedForward(BranchScale(config.common.scale, init)),
        activation_(config.activation, init),
        up_(shape.model_dim,
            config.hidden_dim.value_or(4 * shape.model_dim),
            {.bias = config.common.has_bias(shape)},
            init.child("up")),
        down_(config.hidden_dim.value_or(4 * shape.model_dim),
              shape.model_dim,
              {.bias = config.common.has_bias(shape), .residual_output = true},
              init.child("down")) {}

  Variable forward(const Variable& x) const override {
    return down_.forward(activation_.after(up_, x));
  }
  std::vector<Parameter*> shared_parameters() const override {
    return activation_.shared_parameters();
  }

 private:
  FeedForwardActivation activation_;
  Linear up_;
  Linear down_;
};

CLS_REGISTER(FeedForward, "mlp", Mlp, MlpConfig);

}  // namespace
}  // namespace clausius
