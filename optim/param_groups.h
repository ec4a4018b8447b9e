// SPDX-License-Identifier: Apache-2.0
// Which parameters an optimizer updates how: the recipe's `optimizer.groups`, first match wins.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "autograd/parameter.h"
#include "core/config.h"
#include "core/ops/update_range.h"

namespace clausius {

enum class GroupRole {
  kAny,
  kMatrix,
  kEmbedding,
  kHead,
  kPosition,
  kConv,
  kBias,
  kGain,
  kGamma,
  kTemperature,
  kThreshold,
  kScale,
  kSlope,
  kDecay,
  kQuery,
};
constexpr auto words_of(GroupRole /*unused*/) {
  return words("any", "matrix", "embedding", "head", "position", "conv", "bias", "gain", "gamma",
               "temperature", "threshold", "scale", "slope", "decay", "query");
}

struct ParamGroupConfig {
  OneOrMany<std::string> match{"*"};
  OneOrMany<GroupRole> role{GroupRole::kAny};
  double lr_scale = 1.0;
  Auto<double> weight_decay{};
  bool frozen = false;

  void visit(ConfigVisitor& v) {
    v.field("match", match,
            "globs on parameter names as `inspect` prints them; * matches dots too");
    v.field("role", role, "what the parameters are for");
    v.field("lr_scale", lr_scale, "multiplies the learning rate", non_negative);
    v.field("weight_decay", weight_decay,
            "auto: the optimizer's on matrix, embedding, head and conv, else 0; 0 on "
            "reparametrised matrices",
            non_negative);
    v.field("frozen", frozen, "never updated, and no gradient is computed");
  }
};

/// The flat ranges an optimizer walks, neighbours with equal factors joined, frozen parameters left out (and marked frozen).
/// The built-in last group decays matrix, embedding, head and conv by `weight_decay`, nothing else, and of these not what
/// Parameter::exclude_from_decay names.
/// Errors: ConfigError when a group matches no parameter.
[[nodiscard]] std::vector<UpdateRange> update_ranges(ParameterStore& parameters,
                                                     const std::vector<ParamGroupConfig>& groups,
                                                     double weight_decay);

/// Shell-style: `*` any run of characters, `?` any one.
[[nodiscard]] bool glob_matches(std::string_view glob, std::string_view name);

}  // namespace clausius
