// SPDX-License-Identifier: Apache-2.0
// The fused feed-forward: what two matrices without an activation between them amount to, trained as one.
#include "layers/linear.h"

#include "layers/feed_forward/feed_forward.h"

namespace clausius {
namespace {

struct LinearFeedForwardConfig {
  static constexpr std::string_view kDoc =
      "One matrix of model_dim x model_dim: two without an activation between them, fused.";

  FeedForwardCommon common;

  void visit(ConfigVisitor& v, const LayerShape& shape) {
    common.visit(v, shape, "a bias beside the matrix");
  }
  [[nodiscard]] FeedForwardTraits facts() const { return common.facts(); }
};

/// Parameters: map.weight [M, M] (residual output), map.bias where asked for; those of branch_scale.h.
/// Source:  Jha and Reagen 2025, "Entropy-Guided Attention for Private LLMs" (ScFuFFN with scale: learned).
class LinearFeedForward final : public FeedForward {
 public:
  LinearFeedForward(const LinearFeedForwardConfig& config,
                    const LayerShape& shape,
                    const InitStream& init)
      : FeedForward(BranchScale(config.common.scale, init)),
        map_(shape.model_dim,
             shape.model_dim,
             {.bias = config.common.has_bias(shape), .residual_output = true},
             init.child("map")) {}

  Variable forward(const Variable& x) const override { return map_.forward(x); }

 private:
  Linear map_;
};

CLS_REGISTER(FeedForward, "linear", LinearFeedForward, LinearFeedForwardConfig);

}  // namespace
}  // namespace clausius
