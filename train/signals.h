// SPDX-License-Identifier: Apache-2.0
// StopSignals: signals that ask a run to stop, agreed between ranks.
#pragma once

#include <csignal>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/comm/communicator.h"
#include "core/comm/launcher.h"

namespace clausius {

enum class StopRequest : std::int64_t {
  kNone = 0,
  kStop = 1,    ///< finish the step, write a checkpoint, end with ExitCode::kStoppedBySignal
  kUrgent = 2,  ///< seconds are left: write nothing big, flush, end; the last checkpoint has to do
};

/// Catches signals while one lives (one at a time). SIGUSR1: kStop. SIGTERM and SIGINT: kStop in a single process
/// and under srun, which leave half a minute; kUrgent under mpirun, which sends SIGKILL a second later. Without
/// mpirun a second SIGINT ends the process at once.
class StopSignals {
 public:
  explicit StopSignals(LauncherKind launcher);
  /// Puts back the handlers that were there.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// What this rank has been asked. Ranks hear at different times: act on agree() alone.
  [[nodiscard]] StopRequest requested() const;
  /// The most urgent request of any rank, the same on all. Collective.
  [[nodiscard]] StopRequest agree(Communicator& communicator) const;
  /// Of the most urgent request here ("SIGTERM"); empty without one.
  [[nodiscard]] std::string_view signal_name() const;

 private:
  struct Installed {
    int signal = 0;
    struct sigaction before {};
  };
  std::vector<Installed> installed_;
};

}  // namespace clausius
