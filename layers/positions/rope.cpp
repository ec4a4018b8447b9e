// SPDX-License-Identifier: Apache-2.0
// Rotary positions in half-rotation form: dimensions i and i + D/2 of q and k turn by position * theta^(-2i/D).
#include "core/ops/rope/rope.h"

#include "layers/positions/position.h"

namespace clausius {
namespace {

struct RopeConfig {
  static constexpr std::string_view kDoc =
      "Rotary positions, half-rotation form: q and k turn with their position.";
  static PositionTraits facts() { return {.rotates = true}; }

  double theta = 10000.0;

  void visit(ConfigVisitor& v, const LayerShape& /*shape*/) {
    v.field("theta", theta, "base of the wavelengths", positive);
  }
};

/// Source:  Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding".
class Rope final : public Position {
 public:
  Rope(const RopeConfig& config, const LayerShape& /*shape*/, const InitStream& /*init*/)
      : config_(config) {}

  ops::RopeTable table(std::int64_t head_dim, std::int64_t count, Dtype dtype) const override {
    return ops::make_rope_table(count, head_dim, config_.theta, dtype);
  }

 private:
  RopeConfig config_;
};

CLS_REGISTER(Position, "rope", Rope, RopeConfig);

}  // namespace
}  // namespace clausius
