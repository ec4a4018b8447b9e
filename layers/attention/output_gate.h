// SPDX-License-Identifier: Apache-2.0
// A gate on what attention returns, made from the mixer's input.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "autograd/variable.h"
#include "core/config_block.h"
#include "layers/init_stream.h"
#include "layers/linear.h"

// Legend: B batch, T tokens, M model dim, F width of all heads, R rank.
namespace clausius {

struct LinearGate {
  static constexpr std::string_view kKind = "linear";
  static constexpr std::string_view kDoc = "y * (x W)";
  void visit(ConfigVisitor& /*v*/) {}
};
struct SiluGate {
  static constexpr std::string_view kKind = "silu";
  static constexpr std::string_view kDoc = "y * silu(x W)";
  void visit(ConfigVisitor& /*v*/) {}
};
struct SigmoidGate {
  static constexpr std::string_view kKind = "sigmoid";
  static constexpr std::string_view kDoc = "y * sigmoid(x W)";
  void visit(ConfigVisitor& /*v*/) {}
};
struct LowRankGate {
  static constexpr std::string_view kKind = "sigmoid_low_rank";
  static constexpr std::string_view kDoc = "y * sigmoid(x A B)";
  std::optional<std::int64_t> rank;

  void visit(ConfigVisitor& v, const LayerShape& shape) {
    v.derived(
        "rank", rank, [&] { return shape.head_dim; }, "head_dim", "width between A and B",
        at_least(1));
  }
};

using OutputGateChoice = std::variant<NoKind, LinearGate, SiluGate, SigmoidGate, LowRankGate>;

/// y * f(x W), element by element, before the output projection.
/// Parameters: gate.weight [F, M]; sigmoid_low_rank: gate_down.weight [R, M], gate_up.weight [F, R]. No biases.
/// Source:     Qiu et al. 2025, "Gated Attention for Large Language Models" (sigmoid).
class OutputGate {
 public:
  /// `head_dim`: the rank where the recipe names none.
  OutputGate(const OutputGateChoice& choice,
             std::int64_t width,
             std::int64_t head_dim,
             const InitStream& init);
  /// y itself where there is none.
  [[nodiscard]] Variable forward(const Variable& y_BTF, const Variable& x_BTM) const;

 private:
  enum class Activation { kIdentity, kSilu, kSigmoid };
  Activation activation_ = Activation::kIdentity;
  std::optional<Linear> down_;
  std::optional<Linear> gate_;
};

}  // namespace clausius
