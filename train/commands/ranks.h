// SPDX-License-Identifier: Apache-2.0
// The communicator of commands that run under mpirun.
#pragma once

#include <memory>

#include "core/comm/communicator.h"
#include "train/train_config.h"

namespace clausius {

/// The communicator of this process, as the recipe's `parallel` says. Errors: as make_communicator.
[[nodiscard]] std::unique_ptr<Communicator> make_communicator(const ParallelConfig& parallel);

}  // namespace clausius
