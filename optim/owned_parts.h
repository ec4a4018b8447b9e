// SPDX-License-Identifier: Apache-2.0
// What an optimizer's pass walks: the parts of the flat buffers that this process owns.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/parameter.h"
#include "core/ops/update_range.h"
#include "optim/param_groups.h"

namespace clausius {

/// Views of one owned part, all of one length; the state of an optimizer holds the parts one after the other.
struct OwnedPart {
  Tensor gradient;
  Tensor master;
  Tensor compute{};   // undefined unless the store keeps a copy
  FlatRange state{};  // its place in state buffers
  std::vector<UpdateRange> ranges{};
};

/// Taken once the store has its gradients and knows what this process owns.
class OwnedParts {
 public:
  /// Errors: ConfigError when a group matches no parameter.
  OwnedParts(ParameterStore& parameters,
             const std::vector<ParamGroupConfig>& groups,
             double weight_decay);

  /// A state buffer of zeros: one number for each owned element.
  [[nodiscard]] Tensor make_state() const;
  [[nodiscard]] std::vector<OwnedPart>& parts() { return parts_; }

  /// `update(part)` returns the sum of squares of the part's change, []; all of them as [parts], f64, where the parameters are.
  template <class Update>
  [[nodiscard]] Tensor update(const Update& update) {
    Tensor changes = Tensor::empty({std::ssize(parts_)}, Dtype::kF64, device_);
    for (std::int64_t i = 0; i < std::ssize(parts_); ++i) {
      changes.select(0, i).copy_from(update(parts_[static_cast<std::size_t>(i)]));
    }
    return changes;
  }

 private:
  Dtype dtype_;
  Device device_;
  std::vector<OwnedPart> parts_;
};

}  // namespace clausius
