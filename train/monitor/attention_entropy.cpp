// SPDX-License-Identifier: Apache-2.0
// Reduction of row entropies to heads.
#include "train/monitor/attention_entropy.h"

#include <limits>

#include "core/error.h"
#include "core/ops/entropy_totals/entropy_totals.h"

namespace clausius {

EntropyTotals::EntropyTotals(std::vector<std::int64_t> heads_per_layer, Device device)
    : heads_per_layer_(std::move(heads_per_layer)) {
  std::int64_t heads = 0;
  for (const std::int64_t count : heads_per_layer_) {
    first_head_.push_back(heads);
    heads += count;
  }
  sums_ = Tensor::empty({heads, 3}, Dtype::kF64, device);
  max_logits_ = Tensor::empty({heads}, Dtype::kF64, device);
  reset();
}

void EntropyTotals::reset() {
  sums_.fill(0.0);
  max_logits_.fill(-std::numeric_limits<double>::infinity());
}

void EntropyTotals::add(const Telemetry& telemetry) {
  for (const AttentionObservation& observation : telemetry.attention()) {
    const auto layer = static_cast<std::size_t>(observation.layer);
    const std::int64_t heads = observation.entropy_BHT.size(1);
    CLS_CHECK(heads == heads_per_layer_.at(layer), InternalError, "layer ", layer, " reports ",
              heads, " heads, not ", heads_per_layer_[layer]);
    const std::int64_t first = first_head_[layer];
    Tensor sums = sums_.slice(0, first, first + heads);
    Tensor max_logits = max_logits_.slice(0, first, first + heads);
    ops::entropy_totals(observation.entropy_BHT.value(), observation.outcomes_BT,
                        observation.max_logit_BH, sums, max_logits);
  }
}

void EntropyTotals::reduce(Communicator& communicator) {
  Tensor sums = sums_.to(kCpu);
  Tensor max_logits = max_logits_.to(kCpu);
  communicator.all_reduce(sums, ReduceOp::kSum, "entropies");
  communicator.all_reduce(max_logits, ReduceOp::kMax, "largest logits");
  sums_.copy_from(sums);
  max_logits_.copy_from(max_logits);
}

void EntropyTotals::reduce_max_logits(Communicator& communicator) {
  communicator.all_reduce(max_logits_, ReduceOp::kMax, "largest logits of the step");
}

Tensor EntropyTotals::max_logits(std::size_t layer) const {
  return max_logits_.slice(0, first_head_.at(layer),
                           first_head_.at(layer) + heads_per_layer_.at(layer));
}

EntropyReport EntropyTotals::report() const {
  EntropyReport report;
  const Tensor host_sums = sums_.to(kCpu);
  const Tensor host_max_logits = max_logits_.to(kCpu);
  for (std::size_t layer = 0; layer < heads_per_layer_.size(); ++layer) {
    std::vector<HeadEntropy>& heads = report.emplace_back();
    for (std::int64_t head = first_head_[layer];
         head < first_head_[layer] + heads_per_layer_[layer]; ++head) {
      const double* sums = host_sums.data<double>() + 3 * head;
      const double entropy = sums[0];
      const double attainable = sums[1];
      const double rows = sums[2];
      heads.push_back({.entropy_nats = rows > 0 ? entropy / rows : 0.0,
                       .entropy_normalized = attainable > 0 ? entropy / attainable : 0.0,
                       .max_logit = host_max_logits.data<double>()[head],
                       .rows = rows});
    }
  }
  return report;
}

}  // namespace clausius
