// SPDX-License-Identifier: Apache-2.0
// Which linear map of a model a weight is: what `model.linear.reparam.apply_to` names.
#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"

namespace clausius {

enum class LinearPart { kQ, kK, kV, kGate, kOut, kFeedForward, kHead };
constexpr auto words_of(LinearPart /*unused*/) {
  return words("q", "k", "v", "gate", "out", "feed_forward", "head");
}

/// Neighbouring rows of a weight that are a matrix by themselves: q, k and v of a fused projection.
struct WeightRows {
  std::string name;  // below the weight's layer; empty for all rows of it
  LinearPart part = LinearPart::kFeedForward;
  std::int64_t rows = 0;
};

}  // namespace clausius
