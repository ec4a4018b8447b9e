// SPDX-License-Identifier: Apache-2.0
// mpirun's command line.
#include "tests/distributed/run_mpi.h"

#include "tests/support/paths.h"

namespace clausius::test {

const Environment& mpi_environment() {
  static const Environment environment{{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                       {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                                       {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
                                       {"ASAN_OPTIONS", "detect_leaks=0"}};
  return environment;
}

ProcessResult run_mpi(const std::string& program,
                      int ranks,
                      const std::string& mode,
                      const std::vector<std::string>& mpirun_arguments) {
  std::vector<std::string> command{mpiexec(), "-n", std::to_string(ranks)};
  command.insert(command.end(), mpirun_arguments.begin(), mpirun_arguments.end());
  command.insert(command.end(), {program, mode});
  return run_process(command, mpi_environment(), std::chrono::seconds(120));
}

}  // namespace clausius::test
