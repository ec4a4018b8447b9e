// SPDX-License-Identifier: Apache-2.0
// `clausius sweep` as its users see it: tables, cells that fail, kills, signals, and going on.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

using test::ProcessResult;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kLimit = std::chrono::minutes(4);

constexpr const char* kRecipe = R"(
data: {kind: task, task: repeated_segment, context_length: 24, targets: all}
model: {kind: decoder_lm, layers: 1, model_dim: 16, num_heads: 2, position: learned}
optimizer: {kind: adamw, lr: 1.0e-3}
schedule: constant
train: {steps: 6, batch_samples: 2}
monitor: {every: 1, tensorboard: false}
parallel: {threads: 1}
)";

constexpr const char* kGrid = R"(
grid: {optimizer.lr: [1.0e-3, 1.0e-2]}
seeds: [0, 1]
measure: [{metric: loss}, {metric: entropy_mean, take: min, name: lowest}]
)";

class Sweep : public ::testing::Test {
 protected:
  Sweep() { std::ofstream(folder_ / "base.yaml") << kRecipe; }

  std::vector<std::string> command(const std::vector<std::string>& arguments = {}) const {
    std::vector<std::string> words = {
        test::program(), "sweep", (folder_ / "try_sweep.yaml").string(), "--run", run().string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
  }
  ProcessResult sweep(const std::string& yaml, const std::vector<std::string>& arguments = {}) {
    write(yaml);
    return test::run_process(command(arguments), {}, kLimit);
  }
  void write(const std::string& yaml) {
    std::ofstream(folder_ / "try_sweep.yaml") << "recipe: base.yaml\n" << yaml;
  }
  std::filesystem::path run() const { return folder_ / "run"; }
  Json table() const { return Json::parse(read_file(run() / "table.json"), "table.json"); }
  // Statuses and values of all cells; no clocks.
  static std::string results(const Json& table) {
    std::string text;
    for (const Json& cell : table.at("cells").array()) {
      text += cell.at("name").text() + " " + cell.at("status").text() + " " +
              cell.at("values").dump() + "\n";
    }
    return text;
  }

  test::TemporaryDirectory folder_;
};

TEST_F(Sweep, RunsEveryCellOnceAndPrintsItsTable) {
  const ProcessResult first = sweep(kGrid, {"--jobs", "2"});
  ASSERT_EQ(first.exit_code, 0) << first.output;
  EXPECT_THAT(first.output, HasSubstr("4 cells, 4 to run, 2 at a time"));
  EXPECT_THAT(first.output, HasSubstr("| optimizer.lr | loss | lowest |"));
  EXPECT_THAT(first.output, HasSubstr("[4/4] "));
  for (const char* cell : {"lr=1.0e-3_seed=0", "lr=1.0e-2_seed=1"}) {
    EXPECT_TRUE(std::filesystem::exists(run() / "cells" / cell / "recipe.resolved.yaml")) << cell;
    EXPECT_TRUE(std::filesystem::exists(run() / "cells" / cell / "checkpoints")) << cell;
  }
  EXPECT_THAT(first.output, HasSubstr(read_file(run() / "table.md")));
  EXPECT_EQ(table().at("entries").array().size(), 2U);
  const std::string before = results(table());

  const ProcessResult again = sweep(kGrid, {"--json"});
  ASSERT_EQ(again.exit_code, 0) << again.output;
  EXPECT_EQ(results(Json::parse(again.output, "output")), before);
  // Another measure of the runs that are there; one more seed.
  const ProcessResult more = sweep(R"(
grid: {optimizer.lr: [1.0e-3, 1.0e-2]}
seeds: [0, 1, 2]
measure: [{metric: val_loss}, {metric: los}]
)");
  ASSERT_EQ(more.exit_code, 0) << more.output;
  EXPECT_THAT(more.output, HasSubstr("6 cells, 2 to run"));
  EXPECT_THAT(more.output, HasSubstr("measure 'los': cell lr=1.0e-3_seed=0 has no such metric; did "
                                     "you mean 'loss'?"));
}

// A cell is what `clausius train` makes of its recipe, also beside others.
TEST_F(Sweep, ACellIsAnOrdinaryRun) {
  ASSERT_EQ(sweep(kGrid, {"--jobs", "3"}).exit_code, 0);
  const ProcessResult train =
      test::run_process({test::program(), "train", (folder_ / "base.yaml").string(),
                         "optimizer.lr=1.0e-2", "seed=1", "--run", (folder_ / "alone").string()},
                        {}, kLimit);
  ASSERT_EQ(train.exit_code, 0) << train.output;
  const auto losses = [](const std::filesystem::path& directory) {
    std::vector<double> values;
    std::ifstream stream(directory / "metrics.jsonl");
    for (std::string line; std::getline(stream, line);) {
      const Json json = Json::parse(line, "metrics.jsonl");
      if (const Json* loss = json.find("loss")) {
        values.push_back(loss->number());
      }
    }
    return values;
  };
  EXPECT_EQ(losses(folder_ / "alone"), losses(run() / "cells" / "lr=1.0e-2_seed=1"));
}

TEST_F(Sweep, DivergedAndFailedCellsAreCountedNotAveraged) {
  const std::string yaml = R"(
grid:
  case: {good: {}, diverges: {optimizer.lr: 1.0e+30}, fails: {data: {kind: text, train: nowhere.txt, context_length: 24}}}
seeds: [0, 1]
measure: [{metric: loss}]
)";
  const ProcessResult result = sweep(yaml);
  EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kData)) << result.output;
  EXPECT_THAT(result.output, HasSubstr("6 cells: 2 done, 2 diverged, 2 failed."));
  EXPECT_THAT(result.output, HasSubstr("| diverges | - (0, 2 diverged) |"));
  EXPECT_THAT(result.output, HasSubstr("| fails | - (0, 2 failed) |"));
  EXPECT_THAT(result.output,
              HasSubstr("fails_seed=0: failed in 0s (exit code 3): clausius: error:"));
  EXPECT_THAT(result.output, HasSubstr("nowhere.txt"));
  // What diverged does so again; what failed may have been mended.
  std::ofstream(folder_ / "nowhere.txt") << std::string(4000, 'x');
  const ProcessResult mended = sweep(yaml);
  EXPECT_EQ(mended.exit_code, 0) << mended.output;
  EXPECT_THAT(mended.output, HasSubstr("6 cells, 2 to run"));
  EXPECT_THAT(mended.output, HasSubstr("6 cells: 4 done, 2 diverged."));
}

TEST_F(Sweep, OnFailureStop) {
  const ProcessResult result = sweep(R"(
grid: {case: {fails: {data: {kind: text, train: nowhere.txt, context_length: 24}}, good: {}}}
measure: [{metric: loss}]
on_failure: stop
)");
  EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kData)) << result.output;
  EXPECT_THAT(result.output, HasSubstr("| good | - (0, 1 open) |"));
}

// Long cells with checkpoints, so that a stop falls into one.
constexpr const char* kLong = R"(
set: {train.steps: 300, checkpoint.every: 20}
seeds: [0, 1]
measure: [{metric: loss}, {metric: loss, take: mean, name: all}, {metric: max_logit, take: max}]
)";

TEST_F(Sweep, GoesOnAfterAKill) {
  ASSERT_EQ(sweep(kLong).exit_code, 0);
  const std::string straight = results(table());
  std::filesystem::remove_all(run());
  const std::filesystem::path checkpoint =
      run() / "cells" / "seed=0" / "checkpoints" / "step_000000020.h5";
  {
    test::Process process(command());
    ASSERT_TRUE(process.wait_for_output("seed=0: started", kLimit));
    while (!std::filesystem::exists(checkpoint)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    process.send(SIGKILL);
    EXPECT_EQ(process.wait(kLimit).exit_code, 128 + SIGKILL);
  }
  const ProcessResult again = test::run_process(command(), {}, kLimit);
  ASSERT_EQ(again.exit_code, 0) << again.output;
  EXPECT_THAT(again.output, HasSubstr("2 cells, 2 to run"));
  EXPECT_EQ(results(table()), straight);
  EXPECT_THAT(read_file(run() / "cells" / "seed=0" / "metrics.jsonl"),
              HasSubstr("\"event\":\"resume\""));
}

TEST_F(Sweep, StopsGracefullyAtASignal) {
  ASSERT_EQ(sweep(kLong).exit_code, 0);
  const std::string straight = results(table());
  std::filesystem::remove_all(run());
  for (const int signal : {SIGTERM, SIGINT}) {
    test::Process process(command());
    ASSERT_TRUE(process.wait_for_output("seed=0: ", kLimit));
    // Not before the cell can be stopped with a checkpoint.
    const std::filesystem::path metrics = run() / "cells" / "seed=0" / "metrics.jsonl";
    while (!std::filesystem::exists(metrics)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    process.send(signal);
    const ProcessResult stopped = process.wait(kLimit);
    EXPECT_EQ(stopped.exit_code, static_cast<int>(ExitCode::kStoppedBySignal)) << stopped.output;
    EXPECT_THAT(stopped.output, HasSubstr("1 cells are asked to stop"));
    EXPECT_THAT(stopped.output, HasSubstr("seed=0: interrupted"));
  }
  const ProcessResult again = test::run_process(command(), {}, kLimit);
  ASSERT_EQ(again.exit_code, 0) << again.output;
  EXPECT_THAT(again.output, HasSubstr("seed=0: goes on"));
  EXPECT_EQ(results(table()), straight);
}

TEST_F(Sweep, AnotherRecipeInTheSamePlaceIsRefused) {
  ASSERT_EQ(sweep(kGrid).exit_code, 0);
  const ProcessResult other = sweep(kGrid, {"optimizer.weight_decay=0.5"});
  EXPECT_EQ(other.exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(other.output, HasSubstr("cell lr=1.0e-3_seed=0 has begun as another run: "
                                      "optimizer.weight_decay was 0.1, is 0.5"));
  std::ofstream(folder_ / "file") << "";
  write(kGrid);
  const ProcessResult foreign =
      test::run_process({test::program(), "sweep", (folder_ / "try_sweep.yaml").string(), "--run",
                         folder_.path().string()});
  EXPECT_EQ(foreign.exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(foreign.output, HasSubstr("holds something else than a sweep"));
}

TEST_F(Sweep, NothingRunsWhenOneCellIsWrong) {
  const ProcessResult wrong = sweep(R"(
grid: {model.num_heads: [2, 3]}
measure: [{metric: loss}]
)");
  EXPECT_EQ(wrong.exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(wrong.output, HasSubstr("[cell num_heads=3] "));
  EXPECT_THAT(wrong.output, HasSubstr("try_sweep.yaml:3:29: "));
  EXPECT_FALSE(std::filesystem::exists(run()));
  const ProcessResult dry = sweep(kGrid, {"--dry-run"});
  EXPECT_EQ(dry.exit_code, 0);
  EXPECT_THAT(dry.output, HasSubstr("lr=1.0e-2_seed=1\n"));
  EXPECT_FALSE(std::filesystem::exists(run()));
}

TEST_F(Sweep, UnderMpirunItSaysWhatToDo) {
  write(kGrid);
  const ProcessResult result =
      test::run_process(command(), {{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "0"}});
  EXPECT_EQ(result.exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(result.output, HasSubstr("--launcher 'mpirun -n 2'"));
}

TEST_F(Sweep, EvaluatesACheckpointOverAGrid) {
  const ProcessResult train =
      test::run_process({test::program(), "train", (folder_ / "base.yaml").string(), "--run",
                         (folder_ / "trained").string()},
                        {}, kLimit);
  ASSERT_EQ(train.exit_code, 0) << train.output;
  std::ofstream(folder_ / "try_sweep.yaml") << R"(checkpoint: trained
command: eval
grid: {evaluate.samples: [10, 20], precision: [f32, bf16]}
measure: [{metric: val_loss}, {metric: samples}]
rows: [precision]
columns: [evaluate.samples]
)";
  const ProcessResult result = test::run_process(command({"--jobs", "2"}), {}, kLimit);
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("## samples\n\n| precision | 10 | 20 |\n| --- | --- | --- |\n| "
                        "f32 | 10 (1) | 20 (1) |"));
  EXPECT_TRUE(std::filesystem::exists(run() / "cells" / "samples=10_precision=f32" / "eval.json"));
  EXPECT_THAT(test::run_process(command(), {}, kLimit).output, HasSubstr("4 cells, 0 to run"));
}

#ifdef CLAUSIUS_HAS_MPI
TEST_F(Sweep, ALauncherStartsTheCells) {
  write(kGrid);
  const ProcessResult result = test::run_process(command({"--launcher", test::mpiexec() + " -n 2"}),
                                                 {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                                  {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                                                  {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
                                                  {"ASAN_OPTIONS", "detect_leaks=0"}},
                                                 kLimit);
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(read_file(run() / "logs" / "lr=1.0e-3_seed=0.txt"), HasSubstr("2 ranks of 1 thread"));
}
#endif

}  // namespace
}  // namespace clausius
