// SPDX-License-Identifier: Apache-2.0
// How `clausius train` ends when something is wrong: the exit codes that scripts rely on, and the words.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/end_to_end/training_run.h"
#include "tests/support/paths.h"

namespace clausius {
namespace {

using test::ProcessResult;
using test::TrainingRun;
using ::testing::HasSubstr;

int code(ExitCode exit_code) {
  return static_cast<int>(exit_code);
}

TEST(Program, RecipeErrorsEndWithTwo) {
  const ProcessResult unknown = TrainingRun({"train.stepz=5"}).process();
  EXPECT_EQ(unknown.exit_code, code(ExitCode::kUsage));
  EXPECT_THAT(unknown.output, HasSubstr("did you mean 'steps'?"));
  EXPECT_EQ(TrainingRun({"model.num_heads=3"}).process().exit_code, code(ExitCode::kUsage));
  const ProcessResult missing =
      test::run_process({test::program(), "train", "no_such_recipe.yaml"});
  EXPECT_EQ(missing.exit_code, code(ExitCode::kUsage));
  EXPECT_THAT(missing.output, HasSubstr("no_such_recipe.yaml"));
  EXPECT_EQ(test::run_process({test::program(), "trian"}).exit_code, code(ExitCode::kUsage));
}

TEST(Program, DataErrorsEndWithThree) {
  const ProcessResult result = TrainingRun({"data.train=/no/such/text.txt"}).process();
  EXPECT_EQ(result.exit_code, code(ExitCode::kData));
  EXPECT_THAT(result.output, HasSubstr("/no/such/text.txt"));
}

// The system refuses files above 200 KB: the token store and the records fit, a checkpoint does not.
TEST(Program, AFullDiskEndsWithThree) {
  const test::TemporaryDirectory directory;
  const ProcessResult result = test::run_process(
      {"bash", "-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\"", test::program(), "train",
       (test::source_dir() / "recipes" / "tiny_cpu.yaml").string(), "--run",
       (directory / "run").string(), "train.steps=3", "checkpoint.every=2", "parallel.threads=1"});
  EXPECT_EQ(result.exit_code, code(ExitCode::kData)) << result.output;
  EXPECT_THAT(result.output, HasSubstr("step_00000000"));
  EXPECT_THAT(result.output, HasSubstr("File too large"));
}

TEST(Program, ADivergedRunEndsWithFour) {
  const TrainingRun run({"optimizer.lr=1.0e+30", "schedule=constant", "train.clip_norm=null"});
  EXPECT_EQ(run.process().exit_code, code(ExitCode::kGuard)) << run.process().output;
  EXPECT_THAT(run.process().output, HasSubstr("expected finite numbers"));
}

TEST(Program, VersionAndHelpEndWithZero) {
  const ProcessResult version = test::run_process({test::program(), "--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.output, HasSubstr("clausius"));
  EXPECT_EQ(test::run_process({test::program(), "train", "--help"}).exit_code, 0);
}

}  // namespace
}  // namespace clausius
