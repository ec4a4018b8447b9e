// SPDX-License-Identifier: Apache-2.0
// Communicators as recipes want them.
#include "train/commands/ranks.h"

namespace clausius {

std::unique_ptr<Communicator> make_communicator(const ParallelConfig& parallel) {
  return make_communicator(CommunicatorOptions{
      .order = parallel.reduction_order,
      .reduce_dtype = parallel.reduce_dtype == ReduceDtype::kBf16 ? Dtype::kBf16 : Dtype::kF32,
      .timeout_s = parallel.timeout_s});
}

}  // namespace clausius
