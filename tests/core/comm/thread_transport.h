// SPDX-License-Identifier: Apache-2.0
// Ranks as threads of one process, for tests of what does not depend on the transport.
#pragma once

#include <functional>
#include <memory>

#include "core/comm/communicator.h"

namespace clausius::test {

/// Calls body(communicator) on `ranks` threads; rethrows the first exception (an exception on one rank alone hangs
/// the others).
void run_ranks(int ranks,
               const CommunicatorOptions& options,
               const std::function<void(Communicator&)>& body);

}  // namespace clausius::test
