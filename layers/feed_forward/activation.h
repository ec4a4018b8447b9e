// SPDX-License-Identifier: Apache-2.0
// The activation between the two matrices of an mlp: a recipe choice, and its parameters.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "autograd/variable.h"
#include "core/config_block.h"
#include "layers/init_stream.h"
#include "layers/linear.h"

namespace clausius {

struct PlainActivation {
  void visit(ConfigVisitor& /*v*/) {}
};
struct GeluActivation : PlainActivation {
  static constexpr std::string_view kKind = "gelu";
  static constexpr std::string_view kDoc = "the tanh form";
};
struct GeluErfActivation : PlainActivation {
  static constexpr std::string_view kKind = "gelu_erf";
  static constexpr std::string_view kDoc = "the exact form";
};
struct ReluActivation : PlainActivation {
  static constexpr std::string_view kKind = "relu";
  static constexpr std::string_view kDoc = "max(x, 0)";
};
struct SiluActivation : PlainActivation {
  static constexpr std::string_view kKind = "silu";
  static constexpr std::string_view kDoc = "x sigmoid(x)";
};
struct IdentityActivation : PlainActivation {
  static constexpr std::string_view kKind = "identity";
  static constexpr std::string_view kDoc = "none: two matrices in a row";
};

enum class LearnSlope { kNone, kPerLayer, kGlobal };
constexpr auto words_of(LearnSlope /*unused*/) {
  return words("none", "per_layer", "global");
}

struct LeakyReluActivation {
  static constexpr std::string_view kKind = "leaky_relu";
  static constexpr std::string_view kDoc = "x where x > 0, slope x elsewhere";
  double slope_init = 0.01;
  LearnSlope learn_slope = LearnSlope::kNone;

  void visit(ConfigVisitor& v) {
    v.field("slope_init", slope_init, "slope below 0, at the start where it is learned",
            non_negative);
    v.field("learn_slope", learn_slope, "a slope that is trained, one a layer or one for all");
  }
};

using ActivationChoice = std::variant<GeluActivation,
                                      GeluErfActivation,
                                      ReluActivation,
                                      SiluActivation,
                                      IdentityActivation,
                                      LeakyReluActivation>;

/// Parameters: slope [1], role slope, where learned per layer; feed_forward.slope of the model where learned for all.
/// Source:     Jha and Reagen 2024, "ReLU's Revival: On the Entropic Overload in Normalization-Free Large Language Models" (learned slopes).
class FeedForwardActivation {
 public:
  FeedForwardActivation(const ActivationChoice& choice, const InitStream& init);
  /// activation(linear(x)), in one op where it has no parameter.
  [[nodiscard]] Variable after(const Linear& linear, const Variable& x) const;
  [[nodiscard]] std::vector<Parameter*> shared_parameters() const;

 private:
  ActivationChoice choice_;
  Parameter* slope_ = nullptr;  // of leaky_relu, where learned
};

}  // namespace clausius
