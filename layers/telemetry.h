// SPDX-License-Identifier: Apache-2.0
// What layers report about themselves while they run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "core/tensor.h"

// Legend: B batch, H heads, T tokens, M model dim.
namespace clausius {

/// What is reported beside entropies and largest logits, which always are. Nothing of it changes what is computed.
struct TelemetryRequest {
  bool first_mass = false;   // AttentionObservation::first_BHT
  bool spread = false;       // AttentionObservation::spread_BHT
  bool activations = false;  // ActivationObservation

  [[nodiscard]] bool any() const { return first_mass || spread || activations; }
  [[nodiscard]] TelemetryRequest with(const TelemetryRequest& other) const {
    return {first_mass || other.first_mass, spread || other.spread,
            activations || other.activations};
  }
  bool operator==(const TelemetryRequest&) const = default;
};

/// One softmax layer of one forward pass.
struct AttentionObservation {
  std::int64_t layer = 0;
  /// Row entropies in nats, with their gradient: regularizers put it into the loss.
  Variable entropy_BHT;
  /// Outcomes each row's distribution has (visible keys, and the sink where there is one); 0 = the row sees nothing and counts nowhere.
  Tensor outcomes_BT{};
  /// Largest visible score before any soft-cap.
  Tensor max_logit_BH{};
  /// Scores are at most this after the cap; 0: there is none.
  double logit_softcap = 0;
  /// On request, see ops::AttentionProbe.
  Tensor spread_BHT{};
  Tensor first_BHT{};
};

/// What left one layer: the residual stream after its block.
struct ActivationObservation {
  std::int64_t layer = 0;
  Tensor x_BTM{};
};

/// Collects the observations of one forward pass. Layers add, monitors and regularizers read; nothing else in the model knows.
class Telemetry {
 public:
  explicit Telemetry(const TelemetryRequest& request = {}) : request_(request) {}
  [[nodiscard]] const TelemetryRequest& request() const { return request_; }

  void add(AttentionObservation observation) { attention_.push_back(std::move(observation)); }
  void add(ActivationObservation observation) { activations_.push_back(std::move(observation)); }
  [[nodiscard]] std::vector<AttentionObservation>& attention() { return attention_; }
  [[nodiscard]] const std::vector<AttentionObservation>& attention() const { return attention_; }
  [[nodiscard]] const std::vector<ActivationObservation>& activations() const {
    return activations_;
  }

 private:
  TelemetryRequest request_;
  std::vector<AttentionObservation> attention_;
  std::vector<ActivationObservation> activations_;
};

}  // namespace clausius
