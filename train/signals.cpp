// SPDX-License-Identifier: Apache-2.0
// Handlers that set two flags and nothing else.
#include "train/signals.h"

#include "core/error.h"

namespace clausius {
namespace {

// All that a handler may touch. Handlers of different signals may interrupt each other: the request only grows.
volatile std::sig_atomic_t requested_stop = 0;
volatile std::sig_atomic_t requesting_signal = 0;
volatile std::sig_atomic_t is_installed = 0;

void raise_request(StopRequest request, int signal) {
  if (static_cast<std::sig_atomic_t>(request) > requested_stop) {
    requested_stop = static_cast<std::sig_atomic_t>(request);
    requesting_signal = signal;
  }
}

void on_graceful_signal(int signal) {
  if (signal == SIGINT && requested_stop != 0) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
    return;
  }
  raise_request(StopRequest::kStop, signal);
}

void on_urgent_signal(int signal) {
  raise_request(StopRequest::kUrgent, signal);
}

}  // namespace

StopSignals::StopSignals(LauncherKind launcher) {
  CLS_CHECK(is_installed == 0, InternalError, "signals are caught by another object");
  is_installed = 1;
  requested_stop = 0;
  requesting_signal = 0;
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) {
    struct sigaction action {};
    action.sa_handler =
        is_mpirun(launcher) && signal != SIGUSR1 ? on_urgent_signal : on_graceful_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    Installed installed{.signal = signal, .before = {}};
    ::sigaction(signal, &action, &installed.before);
    installed_.push_back(installed);
  }
}

StopSignals::~StopSignals() {
  for (const Installed& installed : installed_) {
    ::sigaction(installed.signal, &installed.before, nullptr);
  }
  is_installed = 0;
}

StopRequest StopSignals::requested() const {
  return static_cast<StopRequest>(requested_stop);
}

StopRequest StopSignals::agree(Communicator& communicator) const {
  const auto own = static_cast<std::int64_t>(requested());
  return static_cast<StopRequest>(communicator.all_reduce(own, ReduceOp::kMax, "stop request"));
}

std::string_view StopSignals::signal_name() const {
  switch (requesting_signal) {
    case SIGUSR1:
      return "SIGUSR1";
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    default:
      return {};
  }
}

}  // namespace clausius
