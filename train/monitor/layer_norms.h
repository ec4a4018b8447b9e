// SPDX-License-Identifier: Apache-2.0
// Norms of what flows through each layer and of what changes it: activations, gradients, updates.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/parameter.h"
#include "core/comm/communicator.h"
#include "layers/telemetry.h"

namespace clausius {

/// `owned` cut where layers begin and end, so that what is summed for each range is known by layer.
[[nodiscard]] std::vector<FlatRange> cut_at_layers(const std::vector<FlatRange>& owned,
                                                   const std::vector<FlatRange>& layers);

/// Roots of sums of squares by layer: `squares` of each range of `owned`. `shared`: each rank has its own ranges, which are added.
/// Parameters outside of the layers (embedding, head, final norm) are left out. Collective where shared.
[[nodiscard]] std::vector<double> layer_norms(const std::vector<double>& squares,
                                              const std::vector<FlatRange>& owned,
                                              const std::vector<FlatRange>& layers,
                                              bool shared,
                                              Communicator& communicator);

/// Root mean square of the elements that leave each layer, over the tokens that count.
class ActivationTotals {
 public:
  explicit ActivationTotals(std::int64_t layers, Device device = kCpu);
  void reset();
  /// Does not wait for the device. `lengths_B`: rows end there; undefined: they are full.
  void add(const Telemetry& telemetry, const Tensor& lengths_B = {});
  /// Of all ranks; NaN for a layer that reported nothing. Collective; waits for the device.
  [[nodiscard]] std::vector<double> report(Communicator& communicator) const;

 private:
  Tensor sums_;  // [layers, 2]: squares, elements; f64
};

}  // namespace clausius
