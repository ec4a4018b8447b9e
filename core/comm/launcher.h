// SPDX-License-Identifier: Apache-2.0
// How this process was started, from the variables that launchers set: known before MPI is.
#pragma once

#include <string_view>

namespace clausius {

enum class LauncherKind : unsigned char {
  kNone,
  kOpenMpi,   ///< mpirun of Open MPI
  kHydra,     ///< mpirun of MPICH or Intel MPI
  kPmix,      ///< another PMIx launcher
  kSlurm,     ///< srun
  kTorchrun,  ///< starts processes that know nothing of MPI
};

[[nodiscard]] std::string_view name_of(LauncherKind kind);

struct Launcher {
  LauncherKind kind = LauncherKind::kNone;
  /// Ranks it says it started; 0 when it does not say.
  int size = 1;
  int rank = 0;
};

/// A Slurm batch script is no rank: what it starts without srun or mpirun is a single process.
[[nodiscard]] Launcher detect_launcher();

/// True under an mpirun, which forwards SIGUSR1 and leaves seconds after SIGTERM.
[[nodiscard]] bool is_mpirun(LauncherKind kind);

}  // namespace clausius
