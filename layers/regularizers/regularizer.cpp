// SPDX-License-Identifier: Apache-2.0
// How weights of regularizers fall.
#include "layers/regularizers/regularizer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace clausius {

double anneal_factor(Anneal anneal, std::int64_t step, std::int64_t steps) {
  if (anneal == Anneal::kNone) {
    return 1.0;
  }
  const double progress =
      std::clamp(static_cast<double>(step) / static_cast<double>(steps), 0.0, 1.0);
  return anneal == Anneal::kLinear ? 1.0 - progress
                                   : 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

}  // namespace clausius
