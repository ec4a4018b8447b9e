// SPDX-License-Identifier: Apache-2.0
// What each rank runs in the tests of this folder: `ranks MODE [argument ...]`, started by mpirun.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <mpi.h>

#include "core/comm/communicator.h"
#include "core/error.h"
#include "core/io/hash.h"
#include "tests/core/comm/collective_checks.h"
#include "train/signals.h"

namespace clausius {
namespace {

using test::CollectiveCase;

void sleep_seconds(int seconds) {
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
}

Tensor ones() {
  return Tensor::full({100000}, 1.0, Dtype::kF32);
}

// MPI is the test's here, so that one process can use communicators of many options.
int check_collectives() {
  int level = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level);
  const std::vector<CollectiveCase> cases{
      {.n = 0},
      {.n = 1},
      {.n = 1000},
      {.n = 50003},
      {.n = 50003, .segment_bytes = 1 << 12, .order = ReductionOrder::kTree},
      {.n = 701, .segment_bytes = 64, .overlap = Overlap::kThread},
      {.n = 1 << 16, .order = ReductionOrder::kTree, .overlap = Overlap::kThread},
  };
  for (const CollectiveCase& c : cases) {
    {
      const auto communicator = make_communicator(test::options_of(c));
      EXPECT_EQ(communicator->overlap(), c.overlap);
      test::check_all_reduce(*communicator, c);
      test::check_scatter_and_gather(*communicator, c);
      test::check_broadcast(*communicator, c);
    }
    const auto communicator = make_communicator(test::options_of(c, Dtype::kBf16));
    test::check_bf16_wire(*communicator, c);
  }
  MPI_Finalize();
  return ::testing::Test::HasFailure() ? 1 : 0;
}

// The bits of a sum, for comparison between transports and runs.
int print_bits() {
  const auto communicator = make_communicator();
  Tensor values = test::contribution(communicator->rank(), 300007);
  communicator->all_reduce_async(values, "bits").wait();
  const std::string hash = xxh3_128(std::span(values.raw(), values.bytes())).hex();
  if (communicator->rank() == 0) {
    std::cout << "bits " << hash << '\n';
  }
  EXPECT_EQ(communicator->broadcast_text(hash), hash);
  return ::testing::Test::HasFailure() ? 1 : 0;
}

int print_layout() {
  const auto communicator = make_communicator();
  for (int rank = 0; rank < communicator->size(); ++rank) {
    communicator->barrier();
    if (rank == communicator->rank()) {
      std::cout << concat("rank ", rank, " of ", communicator->size(), ", local ",
                          communicator->local_rank(), " of ", communicator->local_size(),
                          ", cores ", communicator->cores_per_rank(), ", ",
                          communicator->description(), '\n')
                << std::flush;
    }
  }
  return 0;
}

// Rank 1 meets an error while the others are in a collective.
int fail_on_one_rank() {
  const auto communicator = make_communicator({.overlap = Overlap::kThread});
  Tensor values = ones();
  communicator->all_reduce(values);
  if (communicator->rank() == 1) {
    throw DataError("shard 7 is damaged");
  }
  communicator->all_reduce(values);
  sleep_seconds(1000);
  return 0;
}

int leave_on_one_rank() {
  const auto communicator = make_communicator();
  communicator->barrier();
  if (communicator->rank() == 1) {
    ::_exit(7);
  }
  communicator->barrier();
  return 0;
}

int kill_one_rank() {
  const auto communicator = make_communicator();
  communicator->barrier();
  if (communicator->rank() == 1) {
    ::raise(SIGKILL);
  }
  communicator->barrier();
  return 0;
}

// Rank 1 stays away for longer than the timeout.
int stay_away() {
  const auto communicator = make_communicator({.timeout_s = 2});
  communicator->barrier();
  if (communicator->rank() == 1) {
    sleep_seconds(1000);
  }
  Tensor values = ones();
  communicator->all_reduce_async(values, "bucket 4").wait();
  return 0;
}

// Ranks disagree on a size, which MPI notices on one side: a larger message than the receiver wants.
int mismatch() {
  const auto communicator = make_communicator({.timeout_s = 20});
  Tensor values = Tensor::full({communicator->rank() == 0 ? 200000 : 100000}, 1.0, Dtype::kF32);
  communicator->all_reduce(values, ReduceOp::kSum, "mismatch");
  return 0;
}

int diverge() {
  const auto communicator = make_communicator();
  check_in_sync(*communicator, 1, "step 100");
  check_in_sync(*communicator, communicator->rank() == 1 ? 2 : 1, "step 200");
  return 0;
}

// Steps until a signal is agreed on.
int step_until_stopped() {
  const auto communicator = make_communicator();
  const StopSignals signals(detect_launcher().kind);
  for (int step = 1; step < 2000; ++step) {
    if (step == 3 && communicator->rank() == 0) {
      std::cout << "stepping\n" << std::flush;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const StopRequest request = signals.agree(*communicator);
    if (request == StopRequest::kStop) {
      std::cout << concat("stopped after step ", step, '\n') << std::flush;
      return static_cast<int>(ExitCode::kStoppedBySignal);
    }
    if (request == StopRequest::kUrgent) {
      std::cout << "seconds left\n" << std::flush;
      return 0;
    }
  }
  return 1;
}

int single() {
  const auto communicator = make_communicator();
  int initialized = 0;
  MPI_Initialized(&initialized);
  std::cout << concat(communicator->description(), ", MPI ",
                      initialized != 0 ? "initialized" : "untouched", '\n');
  return communicator->size() == 1 ? 0 : 1;
}

int run(const std::string& mode) {
  static const std::map<std::string, std::function<int()>> kModes{
      {"collectives", check_collectives},
      {"bits", print_bits},
      {"layout", print_layout},
      {"fail", fail_on_one_rank},
      {"leave", leave_on_one_rank},
      {"kill", kill_one_rank},
      {"stay_away", stay_away},
      {"mismatch", mismatch},
      {"diverge", diverge},
      {"single", single},
      {"steps", step_until_stopped}};
  return kModes.at(mode)();
}

}  // namespace
}  // namespace clausius

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  try {
    return clausius::run(argc > 1 ? argv[1] : "");
  } catch (const clausius::Error& error) {
    clausius::abort_all(error.exit_code(), error.what());
  }
}
