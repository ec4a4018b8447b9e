// SPDX-License-Identifier: Apache-2.0
// Reparametrised runs by the program: stopped and resumed bit for bit, by one process and by ranks; what reads their checkpoints.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/end_to_end/training_run.h"
#include "tests/support/paths.h"

namespace clausius {
namespace {

using test::TrainingRun;
using ::testing::HasSubstr;

using Arguments = std::vector<std::string>;

Arguments with(const Arguments& more) {
  Arguments all = {"train.steps=10", "monitor.every=1", "evaluate.every=4", "checkpoint.every=100"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void expect_stop_and_resume_equal_no_stop(const Arguments& recipe, int ranks) {
  const TrainingRun straight(with(recipe), ranks);
  ASSERT_EQ(straight.process().exit_code, 0) << straight.process().output;
  Arguments stopping = with(recipe);
  stopping.insert(stopping.end(), {"--stop-after", "5"});
  TrainingRun stopped(stopping, ranks);
  ASSERT_EQ(stopped.process().exit_code, 0) << stopped.process().output;
  Arguments resuming = with(recipe);
  resuming.insert(resuming.end(), {"--resume", "auto"});
  stopped.again(resuming, ranks);
  ASSERT_EQ(stopped.process().exit_code, 0) << stopped.process().output;
  test::expect_same_record(stopped, straight, "resumed");
  test::expect_same_checkpoint(stopped.checkpoint(10), straight.checkpoint(10), "resumed");
}

TEST(TrainResume, ReparamStopAndResumeEqualNoStop) {
  expect_stop_and_resume_equal_no_stop(
      {"model.linear.reparam={kind: sigma, vector_init: random, refresh_every: 2}"}, 0);
  expect_stop_and_resume_equal_no_stop({"model.linear.reparam=weight_norm"}, 0);
}

TEST(TrainResume, ReparamStopAndResumeEqualNoStopInBf16WithAccumulation) {
  expect_stop_and_resume_equal_no_stop({"model.linear.reparam={kind: sigma, qkv_grouping: joint}",
                                        "precision=bf16", "train.micro_batch=5"},
                                       0);
}

#ifdef CLAUSIUS_HAS_MPI
TEST(TrainRanks, ReparamStopAndResumeEqualNoStop) {
  expect_stop_and_resume_equal_no_stop({"model.linear.reparam=sigma", "parallel.zero=1"}, 2);
}
#endif

TEST(TrainResume, AnotherQkvGroupingIsRefused) {
  TrainingRun run(with({"model.linear.reparam=sigma", "--stop-after", "2"}));
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  run.again(with({"model.linear.reparam={kind: sigma, qkv_grouping: joint}", "--resume", "auto"}));
  EXPECT_EQ(run.process().exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(run.process().output,
              HasSubstr("model.linear.reparam.qkv_grouping was separate, now joint"));
}

// Evaluation of a checkpoint computes what the run computed after its last step.
TEST(Commands, ReadCheckpointsOfReparametrisedModels) {
  for (const char* kind : {"sigma", "spectral_norm", "weight_norm"}) {
    const TrainingRun run(with({std::string("model.linear.reparam=") + kind}));
    ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
    const std::string directory = run.directory().string();
    const auto program = [](const Arguments& arguments) {
      Arguments all = {test::program()};
      all.insert(all.end(), arguments.begin(), arguments.end());
      return test::run_process(all);
    };
    const test::ProcessResult scored = program({"eval", directory, "--json"});
    ASSERT_EQ(scored.exit_code, 0) << scored.output;
    const double val_loss = Json::parse(scored.output, "eval").at("val_loss").number();
    double last = 0;
    for (const Json& line : run.metrics()) {
      if (line.find("val_loss") != nullptr) {
        last = line.at("val_loss").number();
      }
    }
    EXPECT_NEAR(val_loss, last, 1e-5 * last) << kind;
    EXPECT_EQ(program({"generate", directory, "--prompt", "A", "--max-tokens", "3"}).exit_code, 0);
    const test::ProcessResult shown = program({"inspect", directory});
    EXPECT_EQ(shown.exit_code, 0) << shown.output;
    EXPECT_THAT(shown.output,
                HasSubstr(std::string(kind) == "weight_norm" ? "qkv.q.gain" : "qkv.q.u"));
  }
}

}  // namespace
}  // namespace clausius
