// SPDX-License-Identifier: Apache-2.0
// Which signal asks for what, under which launcher.
#include "train/signals.h"

#include <csignal>
#include <memory>

#include <gtest/gtest.h>

namespace clausius {
namespace {

StopRequest after(LauncherKind launcher, int signal) {
  const StopSignals signals(launcher);
  EXPECT_EQ(signals.requested(), StopRequest::kNone);
  EXPECT_EQ(signals.signal_name(), "");
  std::raise(signal);
  return signals.requested();
}

TEST(StopSignals, MpirunLeavesSecondsAfterSigterm) {
  for (const LauncherKind launcher : {LauncherKind::kNone, LauncherKind::kSlurm}) {
    EXPECT_EQ(after(launcher, SIGTERM), StopRequest::kStop);
    EXPECT_EQ(after(launcher, SIGINT), StopRequest::kStop);
    EXPECT_EQ(after(launcher, SIGUSR1), StopRequest::kStop);
  }
  EXPECT_EQ(after(LauncherKind::kOpenMpi, SIGTERM), StopRequest::kUrgent);
  EXPECT_EQ(after(LauncherKind::kOpenMpi, SIGINT), StopRequest::kUrgent);
  EXPECT_EQ(after(LauncherKind::kOpenMpi, SIGUSR1), StopRequest::kStop);
  EXPECT_EQ(after(LauncherKind::kOpenMpi, SIGCONT), StopRequest::kNone);
}

TEST(StopSignals, TheMostUrgentRequestStays) {
  const StopSignals signals(LauncherKind::kOpenMpi);
  std::raise(SIGUSR1);
  EXPECT_EQ(signals.signal_name(), "SIGUSR1");
  std::raise(SIGTERM);
  std::raise(SIGUSR1);
  EXPECT_EQ(signals.requested(), StopRequest::kUrgent);
  EXPECT_EQ(signals.signal_name(), "SIGTERM");
  const auto single = make_communicator();
  EXPECT_EQ(signals.agree(*single), StopRequest::kUrgent);
}

TEST(StopSignals, SecondInterruptEndsTheProcess) {
  EXPECT_EXIT(
      {
        const StopSignals signals(LauncherKind::kNone);
        std::raise(SIGINT);
        std::raise(SIGTERM);
        std::raise(SIGINT);
      },
      ::testing::KilledBySignal(SIGINT), "");
}

TEST(StopSignals, HandlersAreOneAtATimeAndPutBack) {
  struct sigaction before {};
  ::sigaction(SIGTERM, nullptr, &before);
  {
    const StopSignals signals(LauncherKind::kNone);
    EXPECT_ANY_THROW(StopSignals{LauncherKind::kNone});
  }
  struct sigaction now {};
  ::sigaction(SIGTERM, nullptr, &now);
  EXPECT_EQ(now.sa_handler, before.sa_handler);
}

}  // namespace
}  // namespace clausius
