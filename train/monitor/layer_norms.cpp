// SPDX-License-Identifier: Apache-2.0
// Sums of squares by layer.
#include "train/monitor/layer_norms.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "core/checked.h"
#include "core/error.h"
#include "core/ops/row_squares/row_squares.h"

namespace clausius {

std::vector<FlatRange> cut_at_layers(const std::vector<FlatRange>& owned,
                                     const std::vector<FlatRange>& layers) {
  // Parameters begin at multiples of 64 bytes; the padding behind a layer's last one goes with it.
  std::vector<std::int64_t> borders;
  for (const FlatRange& layer : layers) {
    if (layer.size() > 0) {
      borders.push_back(layer.begin);
      borders.push_back(round_up(layer.end, ParameterStore::kAlignElements));
    }
  }
  std::ranges::sort(borders);
  std::vector<FlatRange> parts;
  for (const FlatRange& whole : owned) {
    std::int64_t begin = whole.begin;
    for (const std::int64_t border : borders) {
      if (begin < border && border < whole.end) {
        parts.push_back({begin, border});
        begin = border;
      }
    }
    parts.push_back({begin, whole.end});
  }
  return parts;
}

std::vector<double> layer_norms(const std::vector<double>& squares,
                                const std::vector<FlatRange>& owned,
                                const std::vector<FlatRange>& layers,
                                bool shared,
                                Communicator& communicator) {
  CLS_CHECK(squares.size() == owned.size(), InternalError, squares.size(), " sums of squares for ",
            owned.size(), " ranges");
  std::vector<double> sums(layers.size(), 0.0);
  for (std::size_t i = 0; i < owned.size(); ++i) {
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      if (layers[layer].begin <= owned[i].begin && owned[i].begin < layers[layer].end) {
        sums[layer] += squares[i];
      }
    }
  }
  if (shared && !sums.empty()) {
    Tensor all = Tensor::from(sums, {std::ssize(sums)});
    communicator.all_reduce(all, ReduceOp::kSum, "norms of the layers");
    sums.assign(all.data<double>(), all.data<double>() + all.numel());
  }
  for (double& sum : sums) {
    sum = std::sqrt(sum);
  }
  return sums;
}

ActivationTotals::ActivationTotals(std::int64_t layers, Device device)
    : sums_(Tensor::zeros({layers, 2}, Dtype::kF64, device)) {}

void ActivationTotals::reset() {
  sums_.fill(0.0);
}

void ActivationTotals::add(const Telemetry& telemetry, const Tensor& lengths_B) {
  for (const ActivationObservation& observation : telemetry.activations()) {
    Tensor sums = sums_.select(0, observation.layer);
    ops::row_squares(observation.x_BTM, lengths_B, sums);
  }
}

std::vector<double> ActivationTotals::report(Communicator& communicator) const {
  Tensor sums = sums_.to(kCpu).clone();
  communicator.all_reduce(sums, ReduceOp::kSum, "activations of the layers");
  std::vector<double> norms;
  for (std::int64_t layer = 0; layer < sums.size(0); ++layer) {
    const double* of = sums.data<double>() + 2 * layer;
    norms.push_back(of[1] > 0 ? std::sqrt(of[0] / of[1])
                              : std::numeric_limits<double>::quiet_NaN());
  }
  return norms;
}

}  // namespace clausius
