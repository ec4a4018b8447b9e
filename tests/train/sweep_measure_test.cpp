// SPDX-License-Identifier: Apache-2.0
// Measures of a run's metrics: steps, windows, heads, limits.
#include "train/sweep/sweep_measure.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

using ::testing::ElementsAre;

std::vector<Json> lines_of(const std::string& text) {
  const test::TemporaryDirectory folder;
  std::ofstream(folder / "metrics.jsonl") << text;
  return read_metric_lines(folder / "metrics.jsonl");
}

// Two layers of two heads, one without probabilities; an evaluation and an event between the steps.
const char* const kRun = R"({"step":0,"event":"start","message":"x"}
{"step":1,"tokens":10,"loss":4,"entropy_mean":[[1,3],null],"aux_losses":{"entropy":0.5},"bands":[0,0,0.25,0.75]}
{"step":2,"tokens":20,"loss":3,"entropy_mean":[[0.5,2.5],[null,2]],"bands":[0,0,0.5,0.5]}
{"step":2,"val_loss":3.5}
{"step":3,"tokens":30,"loss":2,"entropy_mean":[[1,2],[3,4]],"bands":[0,0,1,0]}
{"step":4,"tokens":40,"loss":1,"entropy_mean":[[1,1],[1,1]],"bands":[0,0,1,0]}
)";

std::optional<double> measure(const std::string& text, const Measure& measure) {
  return take_measure(measure, lines_of(text));
}

TEST(SweepMeasure, NumbersOverSteps) {
  EXPECT_EQ(measure(kRun, {.metric = "loss"}), 1.0);
  EXPECT_EQ(measure(kRun, {.metric = "loss", .take = Take::kMean}), 2.5);
  EXPECT_EQ(measure(kRun, {.metric = "loss", .take = Take::kMin}), 1.0);
  EXPECT_EQ(measure(kRun, {.metric = "loss", .take = Take::kMax}), 4.0);
  EXPECT_EQ(measure(kRun, {.metric = "loss", .take = Take::kFirstStep, .below = 2.5}), 3.0);
  EXPECT_EQ(measure(kRun, {.metric = "loss", .take = Take::kFirstStep, .above = 5.0}),
            std::nullopt);
  EXPECT_EQ(measure(kRun, {.metric = "val_loss"}), 3.5);
  EXPECT_EQ(measure(kRun, {.metric = "los"}), std::nullopt);
}

TEST(SweepMeasure, Windows) {
  const auto mean = [&](const Duration& last) {
    return measure(kRun, {.metric = "loss", .take = Take::kMean, .last = last});
  };
  EXPECT_EQ(mean(Duration::steps(2)), 1.5);
  EXPECT_EQ(mean(Duration::steps(100)), 2.5);
  EXPECT_EQ(mean(Duration::percent(75)), 2.0);
  EXPECT_EQ(mean({.amount = 10, .unit = Duration::Unit::kTokens}), 1.0);
}

// A list is reduced as the steps are: all heads count.
TEST(SweepMeasure, Heads) {
  const auto take = [&](Take how) {
    return measure(kRun, {.metric = "entropy_mean", .take = how});
  };
  EXPECT_EQ(take(Take::kMin), 0.5);
  EXPECT_EQ(take(Take::kMax), 4.0);
  EXPECT_EQ(take(Take::kLast), 1.0);
  EXPECT_DOUBLE_EQ(*take(Take::kMean), (2.0 + 5.0 / 3 + 2.5 + 1.0) / 4);
  EXPECT_EQ(measure(kRun, {.metric = "entropy_mean", .take = Take::kFirstStep, .above = 3.5}), 3.0);
  EXPECT_EQ(measure(kRun, {.metric = "entropy_mean", .take = Take::kFirstStep, .below = 0.7}), 2.0);
}

TEST(SweepMeasure, DottedKeys) {
  EXPECT_EQ(measure(kRun, {.metric = "bands.3", .take = Take::kMax}), 0.75);
  EXPECT_EQ(measure(kRun, {.metric = "entropy_mean.1", .take = Take::kMin}), 1.0);
  EXPECT_EQ(measure(kRun, {.metric = "entropy_mean.0.1", .take = Take::kMax}), 3.0);
  EXPECT_EQ(measure(kRun, {.metric = "aux_losses.entropy"}), 0.5);
  EXPECT_EQ(measure(kRun, {.metric = "bands.4"}), std::nullopt);
  EXPECT_EQ(measure(kRun, {.metric = "loss.0"}), std::nullopt);
  EXPECT_THAT(metric_keys(lines_of(kRun)),
              ElementsAre("aux_losses.entropy", "bands", "entropy_mean", "loss", "step", "tokens",
                          "val_loss"));
}

// A resumed run did step 2 again; the last line is torn.
TEST(SweepMeasure, StepsDoneAgainAndTornLines) {
  const std::string text =
      "{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":9}\n{\"step\":3,\"loss\":9}\n"
      "{\"step\":1,\"event\":\"resume\"}\n{\"step\":2,\"loss\":2}\n{\"step\":3,\"lo";
  EXPECT_EQ(measure(text, {.metric = "loss", .take = Take::kMax}), 2.0);
  EXPECT_EQ(measure(text, {.metric = "loss", .take = Take::kMean}), 1.5);
}

}  // namespace
}  // namespace clausius
