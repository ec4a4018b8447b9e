// SPDX-License-Identifier: Apache-2.0
// What a run ran on: written beside it, and printed by `doctor`.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/comm/communicator.h"
#include "train/run_plan.h"

namespace clausius {

/// Variables of libraries that change speed or bits, where they are set: we read none of them ourselves.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> library_variables();

/// environment.json: version, commit, machine, libraries, ranks, and what every machine-dependent `auto` became.
[[nodiscard]] std::string environment_json(const Communicator& communicator, const RunPlan& plan);

}  // namespace clausius
