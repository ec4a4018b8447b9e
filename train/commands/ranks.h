// SPDX-License-Identifier: Apache-2.0
// The communicator of commands that run under mpirun.
#pragma once

#include <memory>

#include "core/comm/communicator.h"
#include "train/train_config.h"

namespace clausius {

/// The communicator of this process, as the recipe's `parallel` says, with collectives on `device`, where the recipe computes. Before
/// anything is asked of the device: each rank of a host takes a GPU of its own.
/// Errors: as make_communicator and connect_device; CommError when some ranks would compute on GPUs and others not.
[[nodiscard]] std::unique_ptr<Communicator> make_communicator(const ParallelConfig& parallel,
                                                              Device device);

}  // namespace clausius
