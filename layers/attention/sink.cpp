// SPDX-License-Identifier: Apache-2.0
// The learned sink's parameter.
#include "layers/attention/sink.h"

namespace clausius {

AttentionSink::AttentionSink(SinkKind kind, std::int64_t query_heads, const InitStream& init) {
  if (kind == SinkKind::kLearned) {
    logits_ = &init.constant("sink", Role::kBias, {query_heads}, 0.0);
  }
}

Variable AttentionSink::logits() const {
  return logits_ == nullptr ? Variable() : logits_->variable();
}

}  // namespace clausius
