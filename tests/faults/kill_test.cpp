// SPDX-License-Identifier: Apache-2.0
// Whenever a process is killed while it saves, the newest checkpoint loads, and nothing half-written is taken for one.
#include <chrono>
#include <csignal>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/io/atomic_file.h"
#include "core/io/hdf5_rows.h"
#include "tests/faults/sample.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "train/checkpoint.h"
#include "train/checkpoint_saver.h"

namespace clausius {
namespace {

using namespace std::chrono_literals;
using test::ProcessResult;
using test::TemporaryDirectory;

constexpr int kKilled = 128 + SIGKILL;
constexpr std::int64_t kLoopKilobytes = 512;

ProcessResult run_saver(const std::string& mode,
                        const TemporaryDirectory& directory,
                        long at,
                        bool torn) {
  return test::run_process(
      {CLS_SAVER_PROGRAM, mode, directory.path().string(), std::to_string(at), torn ? "1" : "0"},
      {{"LD_PRELOAD", CLS_FAULT_SHIM}});
}

// How many file calls an undisturbed run makes.
long count_calls(const std::string& mode, const TemporaryDirectory& directory) {
  const ProcessResult result = run_saver(mode, directory, 0, false);
  const std::size_t at = result.output.find("calls ");
  return result.exit_code == 0 && at != std::string::npos ? std::stol(result.output.substr(at + 6))
                                                          : -1;
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

int count_temporaries(const TemporaryDirectory& directory) {
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    found += is_temporary(entry.path()) ? 1 : 0;
  }
  return found;
}

#ifdef CLS_SANITIZED
#define CLS_NEEDS_SHIM() GTEST_SKIP() << "the sanitizer's runtime must be loaded before the shim"
#else
#define CLS_NEEDS_SHIM() static_cast<void>(0)
#endif

class KillDuringSave : public ::testing::TestWithParam<bool> {};

TEST_P(KillDuringSave, AtEveryFileCall) {
  CLS_NEEDS_SHIM();
  const bool torn = GetParam();
  long calls = 0;
  {
    const TemporaryDirectory directory;
    write_checkpoint(checkpoint_path(directory.path(), 1), test::sample_checkpoint(1));
    calls = count_calls("save", directory);
    ASSERT_EQ(list_checkpoints(directory.path()).size(), 1U);  // step 1 was removed
  }
  ASSERT_GE(calls, 8) << "the shim does not see the calls";
  bool saw_old = false;
  bool saw_new = false;
  for (long at = 1; at <= calls; ++at) {
    const TemporaryDirectory directory;
    write_checkpoint(checkpoint_path(directory.path(), 1), test::sample_checkpoint(1));
    const ProcessResult result = run_saver("save", directory, at, torn);
    ASSERT_EQ(result.exit_code, kKilled) << "call " << at << ": " << result.output;
    const LatestCheckpoint latest = find_latest_checkpoint(directory.path());
    ASSERT_TRUE(latest.file.has_value()) << "call " << at << " of " << calls;
    EXPECT_TRUE(latest.skipped.empty()) << "call " << at << ": " << latest.skipped.front();
    EXPECT_TRUE(test::is_sample(read_checkpoint(latest.file->path))) << "call " << at;
    (latest.file->step == 1 ? saw_old : saw_new) = true;
    const CheckpointSaver next(directory.path(), {});
    EXPECT_EQ(count_temporaries(directory), 0) << "call " << at;
  }
  EXPECT_TRUE(saw_old);
  EXPECT_TRUE(saw_new);
}

INSTANTIATE_TEST_SUITE_P(Shim, KillDuringSave, ::testing::Bool(), [](const auto& test) {
  return test.param ? "HalfWay" : "Before";
});

TEST(KillDuringRows, AtEveryFileCall) {
  CLS_NEEDS_SHIM();
  long calls = 0;
  {
    const TemporaryDirectory directory;
    calls = count_calls("rows", directory);
  }
  ASSERT_GE(calls, 8) << "the shim does not see the calls";
  for (long at = 1; at <= calls; ++at) {
    const TemporaryDirectory directory;
    const ProcessResult result = run_saver("rows", directory, at, /*torn=*/false);
    ASSERT_EQ(result.exit_code, kKilled) << "call " << at << ": " << result.output;
    const auto path = directory / "entropy.h5";
    if (!std::filesystem::exists(path)) {
      EXPECT_EQ(count(result.output, "started"), 0) << "call " << at;
      continue;
    }
    const std::vector<Tensor> rows = read_row_datasets(path, test::sample_row_specs());
    const std::int64_t found = rows[0].size(0);
    EXPECT_GE(found, count(result.output, "appended")) << "call " << at << " of " << calls;
    for (std::int64_t i = 0; i < found; ++i) {
      const std::vector<Tensor> expected = test::sample_row(i);
      EXPECT_EQ(rows[2].select(0, i).item(), expected[2].item()) << "call " << at << ", row " << i;
      EXPECT_EQ(rows[0].select(0, i).reshape({12}).select(0, 11).item(),
                expected[0].reshape({12}).select(0, 11).item());
      EXPECT_EQ(rows[1].select(0, i).reshape({12}).select(0, 11).item(),
                expected[1].reshape({12}).select(0, 11).item());
    }
  }
}

TEST(KillAtRandom, SavingLoopAlwaysGoesOn) {
  const TemporaryDirectory directory;
  std::mt19937 generator(20);
  std::int64_t step = 0;
  for (int round = 0; round < 20; ++round) {
    test::Process process({CLS_SAVER_PROGRAM, "loop", directory.path().string()});
    ASSERT_TRUE(process.wait_for_output("saving\n", 60s));
    const auto start = std::chrono::steady_clock::now();
    // Three in four are killed in the saves behind the first one, the others in the first. However slow the machine
    // is, the kill falls within the length of two saves.
    auto save_time = std::chrono::steady_clock::duration(20ms);
    if (round % 4 != 0) {
      ASSERT_TRUE(process.wait_for_output("saved\n", 60s));
      save_time = std::chrono::steady_clock::now() - start;
    }
    std::this_thread::sleep_for(save_time * (generator() % 1000) / 500);
    process.send(SIGKILL);
    ASSERT_EQ(process.wait(60s).exit_code, kKilled);
    const LatestCheckpoint latest = find_latest_checkpoint(directory.path());
    EXPECT_TRUE(latest.skipped.empty()) << latest.skipped.front();
    if (!latest.file) {
      EXPECT_EQ(step, 0) << "round " << round;
      continue;
    }
    EXPECT_GE(latest.file->step, step);
    step = latest.file->step;
    EXPECT_TRUE(test::is_sample(read_checkpoint(latest.file->path), kLoopKilobytes))
        << "round " << round;
    EXPECT_LE(list_checkpoints(directory.path()).size(), 3U);  // two, and one not yet pruned
  }
  EXPECT_GE(step, 15);
}

}  // namespace
}  // namespace clausius
