// SPDX-License-Identifier: Apache-2.0
// Cutting buffers and ranges to what a process owns.
#include "optim/owned_parts.h"

#include <algorithm>

namespace clausius {

OwnedParts::OwnedParts(ParameterStore& parameters,
                       const std::vector<ParamGroupConfig>& groups,
                       double weight_decay)
    : dtype_(parameters.master().dtype()), device_(parameters.device()) {
  const std::vector<UpdateRange> ranges = update_ranges(parameters, groups, weight_decay);
  std::int64_t placed = 0;
  for (const FlatRange& owned : parameters.owned()) {
    const auto view = [&](const Tensor& whole) {
      return whole.defined() ? whole.slice(0, owned.begin, owned.end) : Tensor();
    };
    OwnedPart part{.gradient = view(parameters.gradients()),
                   .master = view(parameters.master()),
                   .compute = view(parameters.compute_copy()),
                   .state = {.begin = placed, .end = placed + owned.size()}};
    placed += owned.size();
    for (UpdateRange range : ranges) {
      range.begin = std::max(range.begin, owned.begin) - owned.begin;
      range.end = std::min(range.end, owned.end) - owned.begin;
      if (range.begin < range.end) {
        part.ranges.push_back(range);
      }
    }
    parts_.push_back(std::move(part));
  }
}

Tensor OwnedParts::make_state() const {
  return Tensor::zeros({parts_.empty() ? 0 : parts_.back().state.end}, dtype_, device_);
}

}  // namespace clausius
