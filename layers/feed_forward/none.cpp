// SPDX-License-Identifier: Apache-2.0
// A block without a second branch.
#include "layers/feed_forward/feed_forward.h"

namespace clausius {
namespace {

struct NoFeedForwardConfig {
  static constexpr std::string_view kDoc = "No second branch in the block.";
  void visit(ConfigVisitor& /*v*/, const LayerShape& /*shape*/) {}
};

class NoFeedForward final : public FeedForward {
 public:
  NoFeedForward(const NoFeedForwardConfig& /*config*/,
                const LayerShape& /*shape*/,
                const InitStream& /*init*/) {}
  bool present() const override { return false; }
  Variable forward(const Variable& x) const override { return x; }
};

CLS_REGISTER(FeedForward, "none", NoFeedForward, NoFeedForwardConfig);

}  // namespace
}  // namespace clausius
