// SPDX-License-Identifier: Apache-2.0
// Reduction of row entropies to heads.
#include "train/monitor/attention_entropy.h"

#include <cmath>

#include "core/error.h"
#include "core/ops/entropy_totals/entropy_totals.h"

namespace clausius {

EntropyTotals::EntropyTotals(std::vector<std::int64_t> heads_per_layer, Device device)
    : heads_per_layer_(std::move(heads_per_layer)), softcaps_(heads_per_layer_.size()) {
  std::int64_t heads = 0;
  for (const std::int64_t count : heads_per_layer_) {
    first_head_.push_back(heads);
    heads += count;
  }
  sums_ = Tensor::empty({heads, ops::kHeadSums}, Dtype::kF64, device);
  max_logits_ = Tensor::empty({heads}, Dtype::kF64, device);
  reset();
}

void EntropyTotals::reset() {
  sums_.fill(0.0);
  max_logits_.fill(-std::numeric_limits<double>::infinity());
}

void EntropyTotals::add(const Telemetry& telemetry, const Tensor& lengths_B) {
  for (const AttentionObservation& observation : telemetry.attention()) {
    const auto layer = static_cast<std::size_t>(observation.layer);
    const std::int64_t heads = observation.entropy_BHT.size(1);
    CLS_CHECK(heads == heads_per_layer_.at(layer), InternalError, "layer ", layer, " reports ",
              heads, " heads, not ", heads_per_layer_[layer]);
    softcaps_[layer] = observation.logit_softcap;
    const std::int64_t first = first_head_[layer];
    Tensor sums = sums_.slice(0, first, first + heads);
    Tensor max_logits = max_logits_.slice(0, first, first + heads);
    ops::entropy_totals({.entropy_BHT = observation.entropy_BHT.value(),
                         .outcomes_BT = observation.outcomes_BT,
                         .max_logit_BH = observation.max_logit_BH,
                         .lengths_B = lengths_B,
                         .spread_BHT = observation.spread_BHT,
                         .first_BHT = observation.first_BHT},
                        sums, max_logits);
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

namespace {

HeadEntropy head_of(const double* sums, double max_logit, double softcap) {
  const auto sum = [&](ops::HeadSum which) { return sums[static_cast<std::size_t>(which)]; };
  const auto share = [&](ops::HeadSum part, ops::HeadSum whole, double otherwise) {
    return sum(whole) > 0 ? sum(part) / sum(whole) : otherwise;
  };
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  using enum ops::HeadSum;
  return {.entropy_nats = share(kEntropy, kRows, 0.0),
          .entropy_normalized = share(kEntropy, kAttainable, 0.0),
          .max_logit = max_logit,
          .rows = sum(kRows),
          .max_logit_capped = softcap > 0 ? softcap * std::tanh(max_logit / softcap) : max_logit,
          .low_rows = share(kLowRows, kChoosingRows, 0.0),
          .entropy_floor = share(kFloor, kFloorRows, kUnknown),
          .sink_mass = share(kFirstMass, kFirstRows, kUnknown)};
}

}  // namespace
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
      heads.push_back(head_of(host_sums.data<double>() + ops::kHeadSums * head,
                              host_max_logits.data<double>()[head], softcaps_[layer]));
    }
  }
  return report;
}

}  // namespace clausius
