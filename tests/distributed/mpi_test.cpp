// SPDX-License-Identifier: Apache-2.0
// Collectives over MPI, and how a run of several ranks ends: each test starts `ranks MODE` with mpirun.
#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/distributed/run_mpi.h"
#include "tests/support/paths.h"

namespace clausius {
namespace {

using namespace std::chrono_literals;
using test::Environment;
using test::mpi_environment;
using test::ProcessResult;
using test::run_mpi;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

TEST(Mpi, CollectivesMatchTheirDefinition) {
  for (const int ranks : {2, 3}) {
    const ProcessResult result = run_mpi(test::ranks_program(), ranks, "collectives");
    EXPECT_EQ(result.exit_code, 0) << result.output;
  }
}

TEST(Mpi, ReparametrisedWeightsStayEqual) {
  for (const int ranks : {2, 3}) {
    const ProcessResult result = run_mpi(test::ranks_program(), ranks, "reparam");
    EXPECT_EQ(result.exit_code, 0) << result.output;
  }
}

std::string bits_of(const ProcessResult& result) {
  const std::size_t at = result.output.find("bits ");
  return result.exit_code == 0 && at != std::string::npos ? result.output.substr(at, 37)
                                                          : "none: " + result.output;
}

TEST(Mpi, BitsDoNotDependOnTheTransport) {
  const std::string shared_memory =
      bits_of(run_mpi(test::ranks_program(), 3, "bits", {"--mca", "btl", "vader,self"}));
  const std::string sockets =
      bits_of(run_mpi(test::ranks_program(), 3, "bits", {"--mca", "btl", "tcp,self"}));
  EXPECT_EQ(shared_memory.size(), 37U) << shared_memory;
  EXPECT_EQ(shared_memory, sockets);
}

TEST(Mpi, LayoutComesFromMpiAndCoresFromTheMask) {
  const ProcessResult bound = run_mpi(test::ranks_program(), 2, "layout", {"--bind-to", "core"});
  EXPECT_EQ(bound.exit_code, 0);
  if (count(bound.output, "binds") == 0) {  // machines without binding rights say so
    EXPECT_THAT(bound.output, AllOf(HasSubstr("rank 0 of 2, local 0 of 2, cores 1, MPI, Open MPI"),
                                    HasSubstr("rank 1 of 2, local 1 of 2, cores 1")));
  }
}

TEST(Mpi, ErrorOnOneRankEndsAllWithItsCode) {
  const ProcessResult result = run_mpi(test::ranks_program(), 3, "fail");
  EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kData)) << result.output;
  EXPECT_EQ(count(result.output, "rank 1: shard 7 is damaged\n"), 1) << result.output;
  EXPECT_FALSE(result.timed_out);
}

TEST(Mpi, LostRankEndsAll) {
  const ProcessResult left = run_mpi(test::ranks_program(), 2, "leave");
  EXPECT_EQ(left.exit_code, 7) << left.output;
  const ProcessResult killed = run_mpi(test::ranks_program(), 2, "kill");
  EXPECT_EQ(killed.exit_code, 137) << killed.output;
}

TEST(Mpi, WatchdogNamesRankAndCollective) {
  const ProcessResult result = run_mpi(test::ranks_program(), 2, "stay_away");
  EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kCommunication)) << result.output;
  EXPECT_THAT(result.output, HasSubstr("rank 0: all_reduce 'bucket 4' has not finished for 2 s"));
  EXPECT_FALSE(result.timed_out);
}

TEST(Mpi, MismatchIsACommunicationFailure) {
  const ProcessResult result = run_mpi(test::ranks_program(), 2, "mismatch");
  EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kCommunication)) << result.output;
  EXPECT_THAT(result.output, HasSubstr("all_reduce 'mismatch'"));
}

TEST(Mpi, DivergedRankIsNamed) {
  const ProcessResult result = run_mpi(test::ranks_program(), 3, "diverge");
  EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kCommunication)) << result.output;
  EXPECT_THAT(result.output, HasSubstr("(step 200): rank 1 of 3 differs from rank 0"));
}

std::vector<std::string> stepping_ranks() {
  return {test::mpiexec(), "-n", "2", test::ranks_program(), "steps"};
}

TEST(Signals, Usr1StopsAllRanksAfterTheSameStep) {
  test::Process process(stepping_ranks(), mpi_environment());
  ASSERT_TRUE(process.wait_for_output("stepping\n", 60s));
  process.send(SIGUSR1);
  const ProcessResult result = process.wait(60s);
  EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kStoppedBySignal)) << result.output;
  const std::size_t at = result.output.find("stopped after step ");
  ASSERT_NE(at, std::string::npos) << result.output;
  const std::string line = result.output.substr(at, result.output.find('\n', at) - at);
  EXPECT_EQ(count(result.output, line), 2) << result.output;
}

TEST(Signals, TermUnderMpirunLeavesSeconds) {
  test::Process process(stepping_ranks(), mpi_environment());
  ASSERT_TRUE(process.wait_for_output("stepping\n", 60s));
  process.send(SIGTERM);
  const ProcessResult result = process.wait(60s);
  EXPECT_THAT(result.output, HasSubstr("seconds left"));
  EXPECT_THAT(result.output, Not(HasSubstr("stopped after")));
  EXPECT_FALSE(result.timed_out);
}

TEST(Signals, TermToASingleProcessIsGraceful) {
  test::Process process({test::ranks_program(), "steps"});
  ASSERT_TRUE(process.wait_for_output("stepping\n", 60s));
  process.send(SIGTERM);
  EXPECT_EQ(process.wait(60s).exit_code, static_cast<int>(ExitCode::kStoppedBySignal));
}

TEST(Launch, SingleProcessLeavesMpiAlone) {
  const ProcessResult plain = test::run_process({test::ranks_program(), "single"});
  EXPECT_EQ(plain.exit_code, 0) << plain.output;
  EXPECT_THAT(plain.output, HasSubstr("single process, MPI untouched"));
  const ProcessResult one_rank = run_mpi(test::ranks_program(), 1, "single");
  EXPECT_EQ(one_rank.exit_code, 0) << one_rank.output;
  EXPECT_THAT(one_rank.output, HasSubstr("MPI untouched"));
}

// Ranks of a launcher that this MPI does not know would each train alone.
TEST(Launch, ForeignLaunchersAreRefused) {
  const std::vector<Environment> launchers{
      {{"PMI_SIZE", "2"}, {"PMI_RANK", "0"}},
      {{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "1"}},
      {{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "0"}},
  };
  for (const Environment& launcher : launchers) {
    Environment environment = mpi_environment();
    environment.insert(launcher.begin(), launcher.end());
    const ProcessResult result = test::run_process({test::ranks_program(), "single"}, environment);
    EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kCommunication)) << result.output;
    EXPECT_THAT(result.output,
                HasSubstr("started 2 ranks, but MPI sees 1: each would train alone"));
  }
  const ProcessResult torchrun = test::run_process(
      {test::ranks_program(), "single"}, {{"TORCHELASTIC_RUN_ID", "x"}, {"WORLD_SIZE", "2"}});
  EXPECT_EQ(torchrun.exit_code, static_cast<int>(ExitCode::kCommunication));
  EXPECT_THAT(torchrun.output, HasSubstr("start with `mpirun -n N clausius"));
}

}  // namespace
}  // namespace clausius
