// SPDX-License-Identifier: Apache-2.0
// `report` and `monitor` as scripts see them, and runs followed from another process while they train, die and go on.
#include <chrono>
#include <cmath>
#include <csignal>
#include <httplib.h>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "tests/end_to_end/training_run.h"
#include "tests/support/paths.h"
#include "train/run_history.h"
#include "train/web/run_view.h"

namespace clausius {
namespace {

using test::Process;
using test::ProcessResult;
using test::TemporaryDirectory;
using test::TrainingRun;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr auto kLimit = std::chrono::minutes(2);

ProcessResult clausius_program(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), test::program());
  return test::run_process(arguments, {}, kLimit);
}

// A report's data, from between its tags.
Json data_of(const std::string& page) {
  constexpr std::string_view kTag = "<script type=\"application/json\" id=\"data\">";
  const std::size_t begin = page.find(kTag) + kTag.size();
  return Json::parse(std::string_view(page).substr(begin, page.find("</script>", begin) - begin),
                     "report");
}

TEST(Commands, ReportWritesOneFile) {
  const TrainingRun run({"train.steps=20", "evaluate.every=10", "monitor.every=5"});
  const std::string directory = run.directory().string();
  const std::string file = (run.directory() / "report.html").string();
  const ProcessResult result = clausius_program({"report", directory, directory, "--out", file});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, StartsWith(file + ": "));
  const std::string page = read_file(file);
  EXPECT_THAT(page, StartsWith("<!DOCTYPE html>"));
  const Json data = data_of(page);
  ASSERT_EQ(data.at("runs").array().size(), 2U);
  const Json& shown = data.at("runs").array()[1];
  EXPECT_EQ(shown.at("name").text(), "run (2)");
  EXPECT_EQ(shown.at("status").text(), "ended");
  EXPECT_EQ(shown.at("samples").at("steps"), Json(Json::Array{1, 5, 10, 15, 20}));
  EXPECT_EQ(shown.at("heads").at("steps"), shown.at("samples").at("steps"));
  EXPECT_EQ(shown.at("facts").at("total_steps").integer(), 20);
  EXPECT_EQ(shown.at("evaluations").at("columns").at("val_loss").array().size(), 2U);
  EXPECT_EQ(shown.at("problem").text(), "");
}

TEST(Commands, ReportNeedsARun) {
  const TemporaryDirectory folder;
  const ProcessResult none =
      clausius_program({"report", folder.path().string(), "--out", (folder / "r.html").string()});
  EXPECT_EQ(none.exit_code, 3);
  EXPECT_THAT(none.output, HasSubstr("is no run directory; it has no metrics.jsonl"));
  EXPECT_FALSE(std::filesystem::exists(folder / "r.html"));
  EXPECT_EQ(clausius_program({"report", folder.path().string()}).exit_code, 2);
}

TEST(Commands, MonitorSaysWhereItIsAndEndsOnASignal) {
  const TemporaryDirectory folder;
  Process monitor({test::program(), "monitor", (folder / "later").string(), "--port", "0"});
  ASSERT_TRUE(monitor.wait_for_output("Ctrl-C ends it", kLimit));
  monitor.send(SIGINT);
  const ProcessResult ended = monitor.wait(kLimit);
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.output, StartsWith("clausius monitor: http://127.0.0.1:"));
  EXPECT_FALSE(std::filesystem::exists(folder / "later"));
}

TEST(Commands, MonitorRefusesWhatItCannotDo) {
  EXPECT_EQ(clausius_program({"monitor", "no/such/place/run"}).exit_code, 3);
  EXPECT_EQ(clausius_program({"monitor", ".", "--port", "70000"}).exit_code, 2);
  const ProcessResult taken = clausius_program({"monitor", ".", "--bind", "192.0.2.1"});
  EXPECT_EQ(taken.exit_code, 2);
  EXPECT_THAT(taken.output, HasSubstr("cannot listen on 192.0.2.1"));
}

// Looks at the run until it has `rows` samples.
bool follow_until(web::RunView& view, std::size_t rows) {
  const auto end = std::chrono::steady_clock::now() + kLimit;
  while (view.samples().rows() < rows && std::chrono::steady_clock::now() < end) {
    view.refresh();
    // A file that is being replaced may be unreadable for a moment, and is tried again.
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return view.samples().rows() >= rows;
}

// What the view knows is what a reader of the whole file finds, step by step and head by head.
void expect_as_recorded(web::RunView& view) {
  view.refresh();
  EXPECT_EQ(view.problem(), "");
  EXPECT_EQ(view.bad_lines(), 0);
  const RunHistory history = read_run_history(view.files().metrics());
  ASSERT_EQ(view.samples().rows(), history.steps.size());
  for (std::size_t i = 0; i < history.steps.size(); ++i) {
    EXPECT_EQ(view.samples().steps()[i], history.steps[i].step);
    EXPECT_EQ(view.samples().columns().at("loss")[i], history.steps[i].loss);
  }
  const web::HeadMeasure* measure = view.heads().find("entropy_nats");
  ASSERT_NE(measure, nullptr);
  const StepRecord& last = history.steps.back();
  EXPECT_EQ(measure->bins.steps().back(), last.step);
  const auto values = measure->bins.values(measure->bins.size() - 1);
  EXPECT_EQ(values[5], static_cast<float>(last.entropy_nats[1][1]));
}

TEST(Commands, ARunIsFollowedWhileItTrainsDiesAndGoesOn) {
  const TemporaryDirectory folder;
  const std::vector<std::string> train = {test::program(),
                                          "train",
                                          (test::source_dir() / "recipes/tiny_cpu.yaml").string(),
                                          "--run",
                                          (folder / "run").string(),
                                          "train.steps=60",
                                          "monitor.every=1",
                                          "checkpoint.every=10",
                                          "parallel.threads=1"};
  web::RunView view(folder / "run");
  view.refresh();
  {
    Process trainer(train);
    ASSERT_TRUE(follow_until(view, 25));
    trainer.send(SIGKILL);
    EXPECT_EQ(trainer.wait(kLimit).exit_code, 128 + SIGKILL);
  }
  view.refresh();
  EXPECT_GE(view.heads().rows(), 24);  // a kill may tear the last row
  std::vector<std::string> again = train;
  again.insert(again.end(), {"--resume", "auto"});
  Process trainer(again);
  ASSERT_TRUE(follow_until(view, 60));
  EXPECT_EQ(trainer.wait(kLimit).exit_code, 0);
  expect_as_recorded(view);
  EXPECT_EQ(view.status(view.last_wall_time()), "ended");
}

}  // namespace
}  // namespace clausius
