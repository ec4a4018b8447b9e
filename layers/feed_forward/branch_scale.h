// SPDX-License-Identifier: Apache-2.0
// Learned factors of a feed-forward branch and of the residual it joins.
#pragma once

#include <cstdint>
#include <variant>

#include "autograd/variable.h"
#include "core/config_block.h"
#include "layers/init_stream.h"

namespace clausius {

/// What is stored and trained for the branch: 1 / alpha, or alpha.
enum class ScaleParametrization { kGain, kDivisor };
constexpr auto words_of(ScaleParametrization /*unused*/) {
  return words("gain", "divisor");
}

struct LearnedScale {
  static constexpr std::string_view kKind = "learned";
  static constexpr std::string_view kDoc =
      "beta x + branch / alpha where the plain block has x + branch; one alpha and one beta a "
      "layer.";

  double alpha_init = 1.0;
  double beta_init = 1.0;
  ScaleParametrization parametrization = ScaleParametrization::kGain;

  void visit(ConfigVisitor& v) {
    v.field("alpha_init", alpha_init, "start of alpha, which divides the branch", positive);
    v.field("beta_init", beta_init, "start of beta, which multiplies the residual", positive);
    v.field("parametrization", parametrization,
            "gain stores and trains 1 / alpha; divisor alpha, and the run ends where it nears 0");
  }
};

using BranchScaleChoice = std::variant<NoKind, LearnedScale>;

/// y = beta x + branch / alpha.
/// Parameters: scale.gain (1 / alpha) or, as divisor, scale.alpha; scale.beta; [1] each, role scale.
/// Source:     Jha and Reagen 2025, "Entropy-Guided Attention for Private LLMs", eq. 8.
class BranchScale {
 public:
  /// None.
  BranchScale() = default;
  BranchScale(const BranchScaleChoice& choice, const InitStream& init);
  [[nodiscard]] bool present() const { return beta_ != nullptr; }
  /// Value:   with alpha = beta = 1 the bits of x + branch.
  /// Errors:  GuardError naming the layer where a divisor is nearer to 0 than 1e-3.
  [[nodiscard]] Variable join(const Variable& x, const Variable& branch, std::int64_t layer) const;

 private:
  void check_divisor(std::int64_t layer) const;

  Parameter* branch_ = nullptr;  // the gain, or alpha
  Parameter* beta_ = nullptr;
  bool divides_ = false;
};

}  // namespace clausius
