// SPDX-License-Identifier: Apache-2.0
// What most positions do not do.
#include "layers/positions/position.h"

namespace clausius {

Variable Position::add(const Variable& x_BTM, const SequenceContext& /*context*/) const {
  return x_BTM;
}

ops::RopeTable Position::table(std::int64_t /*head_dim*/,
                               std::int64_t /*count*/,
                               Dtype /*dtype*/) const {
  return {};
}

}  // namespace clausius
