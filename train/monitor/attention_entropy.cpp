// SPDX-License-Identifier: Apache-2.0
// Reduction of row entropies to heads.
#include "train/monitor/attention_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace clausius {

EntropyTotals::EntropyTotals(std::vector<std::int64_t> heads_per_layer)
    : heads_per_layer_(std::move(heads_per_layer)) {
  std::int64_t heads = 0;
  for (const std::int64_t count : heads_per_layer_) {
    first_head_.push_back(heads);
    heads += count;
  }
  sums_ = Tensor::empty({heads, 3}, Dtype::kF64);
  max_logits_ = Tensor::empty({heads}, Dtype::kF64);
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
    std::vector<double> log_outcomes;
    const Tensor outcomes = observation.outcomes_BT.to(kCpu).contiguous();
    const Tensor entropies = observation.entropy_BHT.value().to(kCpu);
    const Tensor max_logits = observation.max_logit_BH.to(kCpu);
    for (const std::int32_t count : outcomes.span<std::int32_t>()) {
      log_outcomes.push_back(count > 0 ? std::log(static_cast<double>(count)) : -1.0);
    }
    for (std::int64_t h = 0; h < heads; ++h) {
      add_head(first_head_[layer] + h, entropies.select(1, h), max_logits.select(1, h),
               log_outcomes);
    }
  }
}

void EntropyTotals::add_head(std::int64_t head,
                             const Tensor& entropy,
                             const Tensor& max_logit,
                             const std::vector<double>& log_outcomes) {
  const Tensor entropy_BT = entropy.to(Dtype::kF64).contiguous();
  const auto entropies = entropy_BT.span<double>();
  double sum = 0;
  double attainable = 0;
  double rows = 0;
  for (std::size_t i = 0; i < entropies.size(); ++i) {
    if (log_outcomes[i] >= 0) {
      sum += entropies[i];
      attainable += log_outcomes[i];
      rows += 1;
    }
  }
  double* sums = sums_.data<double>() + 3 * head;
  sums[0] += sum;
  sums[1] += attainable;
  sums[2] += rows;
  const Tensor logits = max_logit.to(Dtype::kF64).contiguous();
  for (const double logit : logits.span<double>()) {
    double& highest = max_logits_.data<double>()[head];
    highest = std::max(highest, logit);
  }
}

void EntropyTotals::reduce(Communicator& communicator) {
  communicator.all_reduce(sums_, ReduceOp::kSum, "entropies");
  communicator.all_reduce(max_logits_, ReduceOp::kMax, "largest logits");
}

EntropyReport EntropyTotals::report() const {
  EntropyReport report;
  for (std::size_t layer = 0; layer < heads_per_layer_.size(); ++layer) {
    std::vector<HeadEntropy>& heads = report.emplace_back();
    for (std::int64_t head = first_head_[layer];
         head < first_head_[layer] + heads_per_layer_[layer]; ++head) {
      const double* sums = sums_.data<double>() + 3 * head;
      const double entropy = sums[0];
      const double attainable = sums[1];
      const double rows = sums[2];
      heads.push_back({.entropy_nats = rows > 0 ? entropy / rows : 0.0,
                       .entropy_normalized = attainable > 0 ? entropy / attainable : 0.0,
                       .max_logit = max_logits_.data<double>()[head],
                       .rows = rows});
    }
  }
  return report;
}

}  // namespace clausius
