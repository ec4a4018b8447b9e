// SPDX-License-Identifier: Apache-2.0
// Where the source tree, the build tree and the program under test are.
#pragma once

#include <filesystem>
#include <string>

namespace clausius::test {

[[nodiscard]] std::filesystem::path source_dir();
[[nodiscard]] std::filesystem::path binary_dir();
/// The clausius program of this build.
[[nodiscard]] std::string program();
/// What tests/distributed starts on each rank, and what starts it; empty in a build without MPI.
[[nodiscard]] std::string ranks_program();
[[nodiscard]] std::string mpiexec();
/// The same program over emulated GPUs; a build tree alone has it.
[[nodiscard]] std::string emulated_ranks_program();

}  // namespace clausius::test
