// SPDX-License-Identifier: Apache-2.0
// Entropy of every head over a step: exact sums over rows, micro-batches and ranks.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "core/comm/communicator.h"
#include "layers/telemetry.h"

namespace clausius {

/// What one head did in one step.
struct HeadEntropy {
  double entropy_nats = 0;  // mean over the rows that see a key
  double entropy_normalized =
      0;                 // sum of H / sum of ln(outcomes); 0 where every row has one outcome
  double max_logit = 0;  // before any soft-cap
  double rows = 0;
  double max_logit_capped = max_logit;  // after it
  /// Share of the rows with two outcomes or more whose entropy is below 0.01 nats.
  double low_rows = 0;
  /// Mean over the rows of the least entropy that the spread of their logits allows; NaN where not observed.
  double entropy_floor = std::numeric_limits<double>::quiet_NaN();
  /// Mean probability of the first token of a document, over the rows that see it and have two outcomes or more; NaN where not
  /// observed.
  double sink_mass = std::numeric_limits<double>::quiet_NaN();
};

/// [layer][head]; layers without probabilities are empty.
using EntropyReport = std::vector<std::vector<HeadEntropy>>;

/// Adds up observations; sums in f64, never means of means.
class EntropyTotals {
 public:
  /// `device`: where the model runs; sums stay there until they are asked for.
  explicit EntropyTotals(std::vector<std::int64_t> heads_per_layer, Device device = kCpu);
  void reset();
  /// Does not wait for the device. `lengths_B`: rows end there (ops::row_lengths); undefined: they are full.
  void add(const Telemetry& telemetry, const Tensor& lengths_B = {});
  /// Sums over all ranks. Collective; waits for the device.
  void reduce(Communicator& communicator);
  /// The largest logits alone. Collective; does not wait for the device.
  void reduce_max_logits(Communicator& communicator);
  /// [H] f64 of one layer, where the model runs; -infinity for a head without a visible score.
  [[nodiscard]] Tensor max_logits(std::size_t layer) const;
  [[nodiscard]] EntropyReport report() const;

 private:
  std::vector<std::int64_t> heads_per_layer_;
  std::vector<std::int64_t> first_head_;
  std::vector<double> softcaps_;  // of each layer, 0 = none
  Tensor sums_;                   // [heads, ops::kHeadSums], f64
  Tensor max_logits_;
};

}  // namespace clausius
