// SPDX-License-Identifier: Apache-2.0
// No positions.
#include "layers/positions/position.h"

namespace clausius {
namespace {

struct NoPositionConfig {
  static constexpr std::string_view kDoc =
      "No positions: the order of tokens shows in the causal mask alone.";
  static PositionTraits facts() { return {}; }
  void visit(ConfigVisitor& /*v*/, const LayerShape& /*shape*/) {}
};

class NoPosition final : public Position {
 public:
  NoPosition(const NoPositionConfig& /*config*/,
             const LayerShape& /*shape*/,
             const InitStream& /*init*/) {}
};

CLS_REGISTER(Position, "none", NoPosition, NoPositionConfig);

}  // namespace
}  // namespace clausius
