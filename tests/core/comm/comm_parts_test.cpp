// SPDX-License-Identifier: Apache-2.0
// The parts of communicators: work queue, watchdog, launcher detection, the end after an error.
#include <atomic>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/comm/communicator.h"
#include "core/comm/launcher.h"
#include "core/comm/watchdog.h"
#include "core/comm/work.h"

namespace clausius {
namespace {

using ::testing::ElementsAre;

TEST(WorkQueue, RunsInOrderBesideTheCaller) {
  WorkQueue queue(/*threaded=*/true);
  std::atomic<bool> go{false};
  std::vector<int> order;
  std::thread::id worker;
  const Work first = queue.submit([&] {
    worker = std::this_thread::get_id();
    while (!go) {
      std::this_thread::yield();
    }
    order.push_back(1);
  });
  const Work second = queue.submit([&] { order.push_back(2); });
  EXPECT_FALSE(first.done());
  EXPECT_FALSE(second.done());
  go = true;
  second.wait();
  EXPECT_TRUE(first.done());
  EXPECT_THAT(order, ElementsAre(1, 2));
  EXPECT_NE(worker, std::this_thread::get_id());
  EXPECT_LE(first.times().end, second.times().begin);
}

TEST(WorkQueue, InlineWorkIsDoneOnReturn) {
  WorkQueue queue(/*threaded=*/false);
  std::thread::id worker;
  EXPECT_TRUE(queue.submit([&] { worker = std::this_thread::get_id(); }).done());
  EXPECT_EQ(worker, std::this_thread::get_id());
  EXPECT_TRUE(Work().done());
}

TEST(WorkQueue, NothingRunsAfterAFailure) {
  for (const bool threaded : {false, true}) {
    WorkQueue queue(threaded);
    bool ran = false;
    const Work failing = queue.submit([] { throw CommError("the cable"); });
    const Work later = queue.submit([&] { ran = true; });
    EXPECT_THROW(failing.wait(), CommError);
    EXPECT_THROW(later.wait(), CommError);
    EXPECT_FALSE(ran);
  }
}

TEST(Watchdog, EndsTheProcessNamingRankAndCollective) {
  EXPECT_EXIT(
      {
        Watchdog watchdog(3, std::chrono::seconds(1));
        { const Watchdog::Scope fast(watchdog, "barrier"); }
        const Watchdog::Scope scope(watchdog, "all_reduce 'bucket 2'");
        std::this_thread::sleep_for(std::chrono::seconds(60));
      },
      ::testing::ExitedWithCode(5), "rank 3: all_reduce 'bucket 2' has not finished for 1 s");
}

TEST(Watchdog, SleepsBetweenCollectives) {
  Watchdog watchdog(0, std::chrono::seconds(1));
  { const Watchdog::Scope scope(watchdog, "barrier"); }
  std::this_thread::sleep_for(
      std::chrono::milliseconds(1300));  // more than the timeout, with nothing under way
}

TEST(AbortAll, SingleProcessEndsWithMessageAndCode) {
  EXPECT_EXIT(abort_all(ExitCode::kData, "file x is damaged"), ::testing::ExitedWithCode(3),
              "^file x is damaged\n$");
}

// Sets variables for one detection and restores what was there.
Launcher detect_with(const std::map<std::string, std::string>& variables) {
  static const std::vector<std::string> kKnown{"OMPI_COMM_WORLD_SIZE",
                                               "OMPI_COMM_WORLD_RANK",
                                               "SLURM_STEP_ID",
                                               "SLURM_STEP_NUM_TASKS",
                                               "SLURM_PROCID",
                                               "SLURM_NTASKS",
                                               "PMI_SIZE",
                                               "PMI_RANK",
                                               "PMIX_RANK",
                                               "TORCHELASTIC_RUN_ID",
                                               "WORLD_SIZE",
                                               "RANK"};
  std::map<std::string, std::string> before;
  for (const std::string& name : kKnown) {
    if (const char* const value = std::getenv(name.c_str())) {
      before[name] = value;
    }
    ::unsetenv(name.c_str());
  }
  for (const auto& [name, value] : variables) {
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  const Launcher launcher = detect_launcher();
  for (const std::string& name : kKnown) {
    ::unsetenv(name.c_str());
  }
  for (const auto& [name, value] : before) {
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  return launcher;
}

void expect_launcher(const std::map<std::string, std::string>& variables,
                     LauncherKind kind,
                     int size,
                     int rank) {
  const Launcher launcher = detect_with(variables);
  EXPECT_EQ(name_of(launcher.kind), name_of(kind));
  EXPECT_EQ(launcher.size, size);
  EXPECT_EQ(launcher.rank, rank);
}

TEST(Launcher, IsReadFromItsVariables) {
  expect_launcher({}, LauncherKind::kNone, 1, 0);
  expect_launcher(
      {{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "3"}, {"PMIX_RANK", "3"}},
      LauncherKind::kOpenMpi, 4, 3);
  expect_launcher({{"PMI_SIZE", "2"}, {"PMI_RANK", "1"}}, LauncherKind::kHydra, 2, 1);
  expect_launcher({{"SLURM_STEP_ID", "0"},
                   {"SLURM_STEP_NUM_TASKS", "8"},
                   {"SLURM_PROCID", "5"},
                   {"PMIX_RANK", "5"}},
                  LauncherKind::kSlurm, 8, 5);
  expect_launcher({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}, LauncherKind::kNone, 1,
                  0);  // a batch script
  expect_launcher({{"PMIX_RANK", "1"}}, LauncherKind::kPmix, 0, 1);
  expect_launcher({{"TORCHELASTIC_RUN_ID", "x"}, {"WORLD_SIZE", "2"}, {"RANK", "1"}},
                  LauncherKind::kTorchrun, 2, 1);
  expect_launcher({{"OMPI_COMM_WORLD_SIZE", "many"}}, LauncherKind::kNone, 1, 0);
}

}  // namespace
}  // namespace clausius
