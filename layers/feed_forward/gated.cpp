// SPDX-License-Identifier: Apache-2.0
// Gated feed-forwards: down(f(gate(x)) * up(x)), gate and up in one matrix.
#include "autograd/rules/gated.h"

#include "core/checked.h"
#include "layers/feed_forward/feed_forward.h"
#include "layers/linear.h"

namespace clausius {
namespace {

// 8/3 of the model width, rounded up to what kernels like: 256, or 16 in narrow models.
std::int64_t default_hidden_dim(std::int64_t model_dim) {
  return round_up(div_ceil<std::int64_t>(8 * model_dim, 3),
                  std::int64_t{model_dim < 1024 ? 16 : 256});
}

struct SwigluConfig {
  static constexpr std::string_view kDoc = "down(silu(gate(x)) * up(x)).";

  Auto<std::int64_t> hidden_dim;
  FeedForwardCommon common;

  void visit(ConfigVisitor& v, const LayerShape& shape) {
    v.derived(
        "hidden_dim", hidden_dim, [&] { return default_hidden_dim(shape.model_dim); },
        "8/3 model_dim rounded up to 256, below model_dim 1024 to 16", "width of gate and up",
        at_least(1));
    common.visit(v, shape, "biases in both matrices");
  }
  [[nodiscard]] FeedForwardTraits facts() const { return common.facts(); }
};

/// Parameters: gate_up.weight [2 F, M] (gate rows first), down.weight [M, F] (residual output); biases where asked for; those of
///             branch_scale.h.
/// Source:  Shazeer 2020, "GLU Variants Improve Transformer".
class Swiglu final : public FeedForward {
 public:
  Swiglu(const SwigluConfig& config, const LayerShape& shape, const InitStream& init)
      : FeedForward(BranchScale(config.common.scale, init)),
        hidden_dim_(config.hidden_dim.value_or(default_hidden_dim(shape.model_dim))),
        gate_up_(shape.model_dim,
                 2 * hidden_dim_,
                 {.bias = config.common.has_bias(shape),
                  .fused = {{"gate", hidden_dim_}, {"up", hidden_dim_}}},
                 init.child("gate_up")),
        down_(hidden_dim_,
              shape.model_dim,
              {.bias = config.common.has_bias(shape), .residual_output = true},
              init.child("down")) {}

  Variable forward(const Variable& x) const override {
    return down_.forward(swiglu(gate_up_.forward(x)));
  }

 private:
  std::int64_t hidden_dim_;
  Linear gate_up_;
  Linear down_;
};

CLS_REGISTER(FeedForward, "swiglu", Swiglu, SwigluConfig);

}  // namespace
}  // namespace clausius
