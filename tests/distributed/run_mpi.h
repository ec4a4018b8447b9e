// SPDX-License-Identifier: Apache-2.0
// Programs under mpirun.
#pragma once

#include <string>
#include <vector>

#include "tests/support/process.h"

namespace clausius::test {

/// Root and more ranks than cores are allowed; leaks inside the MPI library are not ours.
[[nodiscard]] const Environment& mpi_environment();

/// `program mode` on so many ranks, for two minutes at most.
[[nodiscard]] ProcessResult run_mpi(const std::string& program,
                                    int ranks,
                                    const std::string& mode,
                                    const std::vector<std::string>& mpirun_arguments = {});

}  // namespace clausius::test
