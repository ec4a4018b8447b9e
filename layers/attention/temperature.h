// SPDX-License-Identifier: Apache-2.0
// Learned softmax temperatures: one of each head, or of each head and position.
#pragma once

#include <cstdint>
#include <variant>

#include "autograd/variable.h"
#include "core/config_block.h"
#include "layers/context.h"
#include "layers/init_stream.h"

// Legend: B batch, T tokens, H query heads, D head dim.
namespace clausius {

/// What is trained: rho with t = exp(rho), or t itself.
enum class TemperatureParametrization { kExp, kRaw };
constexpr auto words_of(TemperatureParametrization /*unused*/) {
  return words("exp", "raw");
}

struct TemperatureKnobs {
  double init = 1.0;
  TemperatureParametrization parametrization = TemperatureParametrization::kExp;

  void visit(ConfigVisitor& v) {
    v.field("init", init, "temperature at the start", positive);
    v.field("parametrization", parametrization,
            "exp trains ln t; raw trains t, and the run ends where one reaches 0");
  }
};

struct TemperaturePerHead : TemperatureKnobs {
  static constexpr std::string_view kKind = "per_head";
  static constexpr std::string_view kDoc = "Scores of head h are divided by t_h.";
};

struct TemperaturePerHeadPosition : TemperatureKnobs {
  static constexpr std::string_view kKind = "per_head_position";
  static constexpr std::string_view kDoc =
      "Scores of head h at position i are divided by t_hi; no position beyond the model's "
      "context_length.";
};

using TemperatureChoice = std::variant<NoKind, TemperaturePerHead, TemperaturePerHeadPosition>;

/// p = softmax(s / t).
/// Parameters: log_temperature (exp) or temperature (raw), [H] or [context_length, H], role temperature.
/// Source:     Jha and Reagen 2025, "Entropy-Guided Attention for Private LLMs", appendix A.
class Temperature {
 public:
  /// The positions are those below init's context_length.
  Temperature(const TemperatureChoice& choice, std::int64_t query_heads, const InitStream& init);
  /// [H], 1 / t of each head, for the scale of attention; undefined where there is none.
  /// Errors: GuardError naming layer and head of a raw temperature that is not above 0.
  [[nodiscard]] Variable inverse_per_head(const SequenceContext& context) const;
  /// q / t of each token's position; q itself where there is none. `seen`: tokens before these, in the mixer's state.
  /// Errors: as above; ConfigError for a sequence longer than the table.
  [[nodiscard]] Variable divide(const Variable& q_BTHD,
                                const SequenceContext& context,
                                std::int64_t seen) const;
  /// t of a head, at every position, times `factor` > 0, in the master values; false: nothing is learned.
  bool raise(std::int64_t head, double factor);

 private:
  [[nodiscard]] Variable inverse(const SequenceContext& context) const;
  void check_raw(const SequenceContext& context) const;

  Parameter* parameter_ = nullptr;
  bool raw_ = false;
};

}  // namespace clausius
