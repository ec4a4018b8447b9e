// SPDX-License-Identifier: Apache-2.0
// Communicators and errors of commands that run on several ranks.
#include "train/commands/ranks.h"

namespace clausius {

std::unique_ptr<Communicator> make_communicator(const ParallelConfig& parallel) {
  return make_communicator(CommunicatorOptions{
      .order = parallel.reduction_order,
      .reduce_dtype = parallel.reduce_dtype == ReduceDtype::kBf16 ? Dtype::kBf16 : Dtype::kF32,
      .timeout_s = parallel.timeout_s});
}

ExitCode run_on_ranks(const Communicator& communicator, const std::function<ExitCode()>& work) {
  try {
    return work();
  } catch (const Error& error) {
    if (communicator.size() == 1) {
      throw;
    }
    abort_all(error.exit_code(), error.what());
  }
}

}  // namespace clausius
