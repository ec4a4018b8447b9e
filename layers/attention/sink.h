// SPDX-License-Identifier: Apache-2.0
// A logit per head that takes probability from the keys: what a row attends to when it wants nothing.
#pragma once

#include <cstdint>

#include "autograd/variable.h"
#include "core/config.h"
#include "layers/init_stream.h"

// Legend: H query heads.
namespace clausius {

enum class SinkKind { kNone, kLearned };
constexpr auto words_of(SinkKind /*unused*/) {
  return words("none", "learned");
}

/// p_ij = exp(s_ij) / (exp(b_h) + sum over the visible keys of exp(s)); the sink's value is 0.
/// Parameters: sink [H], starting at 0, where learned.
/// Source:     the learned sink of gpt-oss; b = 0 fixed is "softmax off by one".
class AttentionSink {
 public:
  AttentionSink(SinkKind kind, std::int64_t query_heads, const InitStream& init);
  /// [H]; undefined where there is none.
  [[nodiscard]] Variable logits() const;
  /// What it adds to the outcomes of a row's distribution.
  [[nodiscard]] std::int32_t outcomes() const { return logits_ == nullptr ? 0 : 1; }

 private:
  Parameter* logits_ = nullptr;
};

}  // namespace clausius
