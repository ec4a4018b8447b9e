// SPDX-License-Identifier: Apache-2.0
// Learned positions: a table row is added to every token.
#include "autograd/rules/binary.h"
#include "autograd/rules/embedding.h"
#include "layers/positions/position.h"

namespace clausius {
namespace {

struct LearnedConfig {
  static constexpr std::string_view kDoc =
      "A learned vector for each position is added to the input.";
  static PositionTraits facts() { return {.on_input = true, .limited = true}; }
  void visit(ConfigVisitor& /*v*/, const LayerShape& /*shape*/) {}
};

/// Parameters: table [context_length, M].
class Learned final : public Position {
 public:
  Learned(const LearnedConfig& /*config*/, const LayerShape& shape, const InitStream& init)
      : table_(init.weight("table", Role::kPosition, {shape.context_length, shape.model_dim})) {}

  Variable add(const Variable& x_BTM, const SequenceContext& context) const override {
    return clausius::add(x_BTM, embedding(context.positions_BT, table_.variable()));
  }

 private:
  Parameter& table_;
};

CLS_REGISTER(Position, "learned", Learned, LearnedConfig);

}  // namespace
}  // namespace clausius
