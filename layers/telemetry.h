// SPDX-License-Identifier: Apache-2.0
// What layers report about themselves while they run.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/variable.h"
#include "core/tensor.h"

// Legend: B batch, H heads, T tokens.
namespace clausius {

/// One softmax layer of one forward pass.
struct AttentionObservation {
  std::int64_t layer = 0;
  /// Row entropies in nats, with their gradient: regularizers put it into the loss.
  Variable entropy_BHT;
  /// Outcomes each row's distribution has (visible keys, and the sink where there is one); 0 = the row sees nothing and counts nowhere.
  Tensor outcomes_BT{};
  /// Largest visible score before any soft-cap.
  Tensor max_logit_BH{};
};

/// Collects the observations of one forward pass. Layers add, monitors and regularizers read; nothing else in the model knows.
class Telemetry {
 public:
  void add(AttentionObservation observation) { attention_.push_back(std::move(observation)); }
  [[nodiscard]] std::vector<AttentionObservation>& attention() { return attention_; }
  [[nodiscard]] const std::vector<AttentionObservation>& attention() const { return attention_; }

 private:
  std::vector<AttentionObservation> attention_;
};

}  // namespace clausius
