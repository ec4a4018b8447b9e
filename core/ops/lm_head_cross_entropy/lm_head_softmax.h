// SPDX-License-Identifier: Apache-2.0
// The softmax pass of lm_head_cross_entropy over one token's logits.
#pragma once

#include <cstdint>

namespace clausius::ops::detail {

struct TokenLoss {
  float loss = 0;
  float lse = 0;
};

/// What becomes of the row of logits: left alone, or overwritten by the gradient
/// weight * (probability * (1 + 2 z_weight lse) - one hot), as f32, or as bf16 in the front half of its memory.
enum class RowGradient : std::uint8_t { kNone, kF32, kBf16 };

[[nodiscard]] TokenLoss lm_head_softmax(float* row,
                                        std::int64_t vocabulary,
                                        std::int32_t target,
                                        float weight,
                                        double z_weight,
                                        RowGradient gradient);

}  // namespace clausius::ops::detail
