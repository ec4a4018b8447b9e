// SPDX-License-Identifier: Apache-2.0
// A run that stops and goes on ends where the straight run ends, bit for bit; what a resumed run may not change.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/end_to_end/training_run.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

using test::record_of;
using test::TrainingRun;
using ::testing::HasSubstr;

using Arguments = std::vector<std::string>;

const Arguments kRecipe = {"train.steps=14", "monitor.every=1", "model.dropout=0.1",
                           "evaluate.every=5", "checkpoint.every=100"};

Arguments with(const Arguments& more) {
  Arguments all = kRecipe;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void expect_stop_and_resume_equal_no_stop(const Arguments& recipe, int ranks) {
  const TrainingRun straight(with(recipe), ranks);
  Arguments stopping = with(recipe);
  stopping.insert(stopping.end(), {"--stop-after", "6"});
  TrainingRun stopped(stopping, ranks);
  ASSERT_EQ(stopped.process().exit_code, 0) << stopped.process().output;
  EXPECT_EQ(stopped.steps().back().at("step").integer(), 6);
  Arguments resuming = with(recipe);
  resuming.insert(resuming.end(), {"--resume", "auto"});
  stopped.again(resuming, ranks);
  ASSERT_EQ(stopped.process().exit_code, 0) << stopped.process().output;
  test::expect_same_record(stopped, straight, "resumed");
  test::expect_same_checkpoint(stopped.checkpoint(14), straight.checkpoint(14), "resumed");
}

TEST(TrainResume, StopAndResumeEqualNoStop) {
  expect_stop_and_resume_equal_no_stop({}, 0);
}

TEST(TrainResume, StopAndResumeEqualNoStopInBf16WithAccumulation) {
  expect_stop_and_resume_equal_no_stop({"precision=bf16", "train.micro_batch=5"}, 0);
}

// Clips are counted over the whole run; slopes, scales and what z_loss reports go on as they were.
TEST(TrainResume, StopAndResumeEqualNoStopWithTheEntropyToolkit) {
  const Arguments recipe = {
      "model.mixer={kind: softmax, bias: [q, k], output_norm: rms_norm, temperature: per_head, "
      "qk_clip: {threshold: 1.0e-3}}",
      "model.feed_forward=[{kind: linear, scale: learned}, {kind: mlp, scale: learned, activation: "
      "{kind: leaky_relu, learn_slope: global}}]",
      "regularizers={z_loss: {}, entropy: {}}"};
  expect_stop_and_resume_equal_no_stop(recipe, 0);
  const TrainingRun run(with(recipe));
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  const Json last = run.steps().back();
  EXPECT_EQ(last.at("qk_clips").array().at(1).array().at(0).number(), 14.0);
  EXPECT_GT(last.at("aux_losses").at("z_loss").number(), 0.0);
  EXPECT_GE(last.at("lse_max").number(), last.at("lse_mean").number());
  EXPECT_NE(last.at("lse_mean").number(), run.steps().front().at("lse_mean").number());
  EXPECT_THAT(run.process().output, HasSubstr("qk_clip acts on every layer"));
}

TEST(TrainResume, AnotherRecipeIsRefusedWithBothValues) {
  TrainingRun run(with({"--stop-after", "2"}));
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  run.again(with({"--resume", "auto", "optimizer.lr=0.5"}));
  EXPECT_EQ(run.process().exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(run.process().output, HasSubstr("optimizer.lr was 0.001, now 0.5"));
  run.again(with({"--resume", "auto", "checkpoint.keep_last=7", "--stop-after", "3"}));
  EXPECT_EQ(run.process().exit_code, 0) << run.process().output;
}

// The evaluations that early_stop counts are those of the whole run: the loss of a rate of nothing never gets better.
TEST(TrainResume, PatienceGoesOnCounting) {
  const Arguments recipe = {
      "train.steps=30",       "evaluate.every=2",           "checkpoint.every=100",
      "optimizer.lr=1.0e-30", "optimizer.weight_decay=0.0", "train.early_stop.patience=3"};
  const TrainingRun straight(recipe);
  EXPECT_EQ(straight.metrics().back().at("step").integer(), 8) << straight.process().output;
  Arguments arguments = recipe;
  arguments.insert(arguments.end(), {"--stop-after", "5"});
  TrainingRun stopped(arguments);
  arguments = recipe;
  arguments.insert(arguments.end(), {"--resume", "auto"});
  stopped.again(arguments);
  EXPECT_EQ(stopped.metrics().back().at("step").integer(), 8) << stopped.process().output;
}

TEST(TrainResume, ADirectoryInUseIsNotOverwritten) {
  TrainingRun run(with({"--stop-after", "1"}));
  const std::vector<std::string> before = record_of(run);
  run.again(with({"--stop-after", "1"}));
  EXPECT_EQ(run.process().exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(run.process().output, HasSubstr("--resume"));
  run.again(with({"--resume", "auto", "--stop-after", "1"}));
  EXPECT_EQ(record_of(run), before);
}

// Going on with other data than the run began with would be a third run that nobody asked for.
TEST(TrainResume, ChangedDataAreRefused) {
  const test::TemporaryDirectory folder;
  const std::filesystem::path text = folder.path() / "text.txt";
  std::filesystem::copy_file(test::source_dir() / "recipes" / "data" / "tiny.txt", text);
  const std::string source = "data.train=" + text.string();
  TrainingRun run(with({source, "--stop-after", "1"}));
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  std::ofstream(text, std::ios::app) << "one more line\n";
  run.again(with({source, "--resume", "auto"}));
  EXPECT_EQ(run.process().exit_code, static_cast<int>(ExitCode::kData));
  EXPECT_THAT(run.process().output, HasSubstr("a source has changed since"));
}

#ifdef CLAUSIUS_HAS_MPI
TEST(TrainRanks, StopAndResumeEqualNoStop) {
  expect_stop_and_resume_equal_no_stop({}, 2);
  expect_stop_and_resume_equal_no_stop({"parallel.zero=1"}, 2);
}

// A checkpoint does not know how many ranks wrote it, nor which of them kept what.
TEST(TrainRanks, ResumesOnAnotherNumberOfRanks) {
  const TrainingRun straight(kRecipe);
  for (const char* zero : {"parallel.zero=0", "parallel.zero=1"}) {
    TrainingRun moved(with({zero, "--stop-after", "4"}), 2);
    moved.again(with({zero, "--resume", "auto", "--stop-after", "6"}), 3);
    moved.again(with({"--resume", "auto"}));
    ASSERT_EQ(moved.process().exit_code, 0) << moved.process().output;
    test::expect_same_losses(moved.steps(), straight.steps(), 1e-5, "2 ranks, then 3, then 1");
  }
}
#endif

}  // namespace
}  // namespace clausius
