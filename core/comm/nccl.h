// SPDX-License-Identifier: Apache-2.0
// Collectives between GPUs.
#pragma once

#include <memory>

#include "core/comm/communicator.h"

namespace clausius::detail {

/// Collectives on the tensors of each rank's GPU by NCCL, on a stream of their own; tensors of the host stay with `host`. The sums are
/// those of `host`, bit for bit: blocks travel by NCCL and are added in the order that the options say; under ReductionOrder::kAny
/// NCCL adds. A watching thread ends the job, naming rank and collective, when NCCL reports an error or a collective is older than
/// options.timeout_s.
/// Errors: CommError when ranks share a GPU; DeviceError without NCCL.
[[nodiscard]] std::unique_ptr<Communicator> make_nccl_communicator(
    std::unique_ptr<Communicator> host, const CommunicatorOptions& options);

}  // namespace clausius::detail
