// SPDX-License-Identifier: Apache-2.0
// Ranks with a GPU each, and optimizer state that ranks share: on the CPU, on emulated GPUs, and on real ones where there are two.
#include <filesystem>
#include <ostream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/device_backend.h"
#include "core/error.h"
#include "tests/distributed/run_mpi.h"
#include "tests/support/paths.h"

namespace clausius {
namespace {

using ::testing::HasSubstr;

enum class Gpus { kEmulated, kReal };

std::ostream& operator<<(std::ostream& out, Gpus gpus) {
  return out << (gpus == Gpus::kReal ? "real" : "emulated");
}

class GpuRanks : public ::testing::TestWithParam<Gpus> {
 protected:
  void SetUp() override {
    const int count = cuda_backend() != nullptr ? cuda_backend()->count() : 0;
    if (GetParam() == Gpus::kReal && count < 2) {
      GTEST_SKIP() << "ranks need a CUDA device each, and this machine has " << count;
    }
    if (GetParam() == Gpus::kEmulated && !std::filesystem::exists(test::emulated_ranks_program())) {
      GTEST_SKIP() << "emulated GPUs are in the build tree alone";
    }
  }
  static void expect_success(int ranks, const std::string& mode) {
    const std::string program =
        GetParam() == Gpus::kReal ? test::ranks_program() : test::emulated_ranks_program();
    const test::ProcessResult result = test::run_mpi(program, ranks, mode);
    EXPECT_EQ(result.exit_code, 0) << mode << " on " << ranks << " ranks:\n" << result.output;
  }
};

// The same bits as between CPUs: rank order, tree order, bf16 on the wire.
TEST_P(GpuRanks, CollectivesMatchTheirDefinition) {
  expect_success(2, "gpu_collectives");
  if (GetParam() == Gpus::kEmulated) {
    expect_success(3, "gpu_collectives");
  }
}

TEST_P(GpuRanks, NcclMayChooseTheOrder) {
  expect_success(2, "gpu_any_order");
}

TEST_P(GpuRanks, ZeroOneDrawsTheCurveOfZeroZero) {
  expect_success(2, "gpu_zero");
}

TEST_P(GpuRanks, ReparametrisedWeightsStayEqual) {
  expect_success(2, "gpu_reparam");
}

TEST_P(GpuRanks, ClipTheSameBits) {
  expect_success(2, "gpu_qk_clip");
}

INSTANTIATE_TEST_SUITE_P(Emulated, GpuRanks, ::testing::Values(Gpus::kEmulated));
INSTANTIATE_TEST_SUITE_P(Cuda, GpuRanks, ::testing::Values(Gpus::kReal));

// The watch looks at streams and at NCCL's own word, while the host waits for neither.
TEST(GpuRanksWatch, NamesTheCollectiveThatHangs) {
  if (!std::filesystem::exists(test::emulated_ranks_program())) {
    GTEST_SKIP() << "emulated GPUs are in the build tree alone";
  }
  const test::ProcessResult hung =
      test::run_mpi(test::emulated_ranks_program(), 2, "gpu_hang", {"-x", "EMULATED_STREAM=hung"});
  EXPECT_EQ(hung.exit_code, static_cast<int>(ExitCode::kCommunication)) << hung.output;
  EXPECT_THAT(hung.output, HasSubstr(": all_reduce 'bucket 4' has not finished for 2 s"));
  EXPECT_FALSE(hung.timed_out);
  const test::ProcessResult lost =
      test::run_mpi(test::emulated_ranks_program(), 2, "gpu_hang",
                    {"-x", "EMULATED_STREAM=hung", "-x", "EMULATED_NCCL=remote_error"});
  EXPECT_EQ(lost.exit_code, static_cast<int>(ExitCode::kCommunication)) << lost.output;
  EXPECT_THAT(lost.output, HasSubstr("NCCL reports: remote process exited"));
  EXPECT_FALSE(lost.timed_out);
}

TEST(CudaRanksWatch, NamesRankAndCollective) {
  if (cuda_backend() == nullptr || cuda_backend()->count() < 2) {
    GTEST_SKIP() << "a hung stream needs two CUDA devices";
  }
  const test::ProcessResult result = test::run_mpi(test::ranks_program(), 2, "gpu_stay_away");
  EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kCommunication)) << result.output;
  EXPECT_THAT(result.output, HasSubstr("rank 0: all_reduce 'bucket 4' has not finished for 2 s"));
  EXPECT_FALSE(result.timed_out);
}

TEST(SharedState, ZeroOneDrawsTheCurveOfZeroZero) {
  for (const int ranks : {2, 3}) {
    const test::ProcessResult result = test::run_mpi(test::ranks_program(), ranks, "zero");
    EXPECT_EQ(result.exit_code, 0) << ranks << " ranks:\n" << result.output;
  }
}

TEST(SharedState, RanksClipTheSameBits) {
  for (const int ranks : {2, 3}) {
    const test::ProcessResult result = test::run_mpi(test::ranks_program(), ranks, "qk_clip");
    EXPECT_EQ(result.exit_code, 0) << ranks << " ranks:\n" << result.output;
  }
}

}  // namespace
}  // namespace clausius
