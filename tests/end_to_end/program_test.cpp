// SPDX-License-Identifier: Apache-2.0
// How `clausius train` ends when something is wrong: the exit codes that scripts rely on, and the words.
#include <filesystem>
#include <fstream>
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
  const auto expect_refused = [](const std::string& setting, const std::string& message) {
    const ProcessResult refused = TrainingRun({setting}).process();
    EXPECT_EQ(refused.exit_code, code(ExitCode::kUsage)) << setting;
    EXPECT_THAT(refused.output, HasSubstr(message)) << setting;
  };
  expect_refused("model.num_heads=3", "3 heads do not divide model_dim 64");
  expect_refused("model.layers=two", "'model.layers'");
  expect_refused("model.model_dim=-64", "-64 is out of range; expected an integer >= 1");
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

TEST(Program, BadTokensEndWithThree) {
  const test::TemporaryDirectory folder;
  const auto expect_refused = [&](const std::string& data, const std::string& message) {
    const ProcessResult refused =
        TrainingRun({"data={context_length: 64, " + data + "}", "model.vocab_size=1000"}).process();
    EXPECT_EQ(refused.exit_code, code(ExitCode::kData)) << refused.output;
    EXPECT_THAT(refused.output, HasSubstr(message));
  };
  const std::string file = (folder / "tokens.bin").string();
  const auto write = [&](std::int64_t count, std::uint16_t odd) {
    std::ofstream stream(file, std::ios::binary);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint16_t token = i == 1500 ? odd : static_cast<std::uint16_t>(i % 50);
      stream.put(static_cast<char>(token & 0xFF)).put(static_cast<char>(token >> 8));
    }
  };
  write(0, 0);
  expect_refused("kind: text, train: " + file, file + " is empty; expected text");
  expect_refused("kind: tokens, format: nanogpt, train: " + file, file + " has 0 bytes");
  write(3000, 60000);
  expect_refused("kind: tokens, format: nanogpt, train: " + file, "token id 60000 at position");

  const TrainingRun run({"train.steps=1", "data={kind: text, context_length: 64, train: " +
                                              (folder / "text.txt").string() + "}"});
  EXPECT_EQ(run.process().exit_code, code(ExitCode::kData)) << "no text is there yet";
  std::ofstream(folder / "text.txt") << std::string(5000, 'a');
  const TrainingRun good({"train.steps=1", "data={kind: text, context_length: 64, train: " +
                                               (folder / "text.txt").string() + "}"});
  ASSERT_EQ(good.process().exit_code, 0) << good.process().output;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
    if (entry.path().filename() == "shard_00000.bin") {
      std::filesystem::resize_file(entry.path(), 100);
      expect_refused("kind: tokens, train: " + entry.path().parent_path().string(),
                     "shard_00000.bin has 100 bytes; expected");
      return;
    }
  }
  FAIL() << "no token store was left beside the text";
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
