// SPDX-License-Identifier: Apache-2.0
// What commands that run under mpirun share.
#pragma once

#include <functional>
#include <memory>

#include "core/comm/communicator.h"
#include "train/train_config.h"

namespace clausius {

/// The communicator of this process, as the recipe's `parallel` says. Errors: as make_communicator.
[[nodiscard]] std::unique_ptr<Communicator> make_communicator(const ParallelConfig& parallel);

/// Runs `work`. An error on one of several ranks ends all of them, with its message and exit code; a single process throws it on.
[[nodiscard]] ExitCode run_on_ranks(const Communicator& communicator,
                                    const std::function<ExitCode()>& work);

}  // namespace clausius
