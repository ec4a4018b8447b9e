// SPDX-License-Identifier: Apache-2.0
// Tables of sweeps: means, deviations, paired differences, and what is said of cells that did not end well.
#include "train/sweep/sweep_table.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/sweep/sweep_statistics.h"

namespace clausius {
namespace {

using ::testing::HasSubstr;

// Two rates x two variants x three seeds.
SweepPlan plan_of(bool with_columns) {
  SweepPlan plan;
  plan.config.name = "try";
  plan.config.measure = {{.metric = "loss"}};
  plan.axes = {{.name = "lr", .values = {{"1", {}}, {"2", {}}}},
               {.name = "variant", .values = {{"plain", {}}, {"sigma|x", {}}}},
               {.name = "seed", .values = {{"0", {}}, {"1", {}}, {"2", {}}}}};
  plan.rows = with_columns ? std::vector<std::size_t>{0} : std::vector<std::size_t>{0, 1};
  plan.columns = with_columns ? std::vector<std::size_t>{1} : std::vector<std::size_t>{};
  plan.average = {2};
  for (std::size_t lr = 0; lr < 2; ++lr) {
    for (std::size_t variant = 0; variant < 2; ++variant) {
      for (std::size_t seed = 0; seed < 3; ++seed) {
        plan.cells.push_back({.name = concat(lr, variant, seed), .places = {lr, variant, seed}});
      }
    }
  }
  return plan;
}

CellResult done(double value) {
  return {.status = CellStatus::kDone, .values = {value}};
}

std::vector<CellResult> results() {
  return {done(1),    done(2),
          done(3),    done(1.5),
          done(2.25), done(3.75),  // lr 1
          done(4),    {.status = CellStatus::kDiverged, .exit_code = 4},
          done(6),    done(5),
          done(9),    {.status = CellStatus::kFailed, .exit_code = 3}};
}

TEST(SweepTable, Statistics) {
  const Statistic three = statistic_of({1, 2, 4});
  EXPECT_EQ(three.count, 3U);
  EXPECT_DOUBLE_EQ(three.mean, 7.0 / 3);
  EXPECT_DOUBLE_EQ(three.std, std::sqrt(7.0 / 3));
  EXPECT_EQ(to_text(three), "2.333 +- 1.5");
  EXPECT_EQ(to_text(statistic_of({2})), "2");
  EXPECT_EQ(statistic_of({}).count, 0U);
}

TEST(SweepTable, ColumnsHaveATableAMeasure) {
  const std::string text = to_markdown(plan_of(true), results());
  EXPECT_THAT(text, HasSubstr("12 cells: 10 done, 1 diverged, 1 failed. Mean +- standard deviation "
                              "over seed; in brackets the number of runs."));
  EXPECT_THAT(text, HasSubstr("## loss\n\n| lr | plain | sigma\\|x |\n| --- | --- | --- |\n"
                              "| 1 | 2 +- 1 (3) | 2.5 +- 1.1 (3) |\n"
                              "| 2 | 5 +- 1.4 (2, 1 diverged) | 7 +- 2.8 (2, 1 failed) |\n"));
  // Differences 0.5, 0.25, 0.75; at lr 2 the only pair with two values is seed 0.
  EXPECT_THAT(text, HasSubstr("Difference to plain, paired, +- standard error:\n\n| lr | sigma\\|x "
                              "|\n| --- | --- |\n| 1 | +0.5 +- 0.14 (3) |\n| 2 |  |\n"));
}

TEST(SweepTable, WithoutColumnsMeasuresAreColumns) {
  const std::string text = to_markdown(plan_of(false), results());
  EXPECT_THAT(text, HasSubstr("| lr | variant | loss |\n| --- | --- | --- |\n"
                              "| 1 | plain | 2 +- 1 (3) |\n"));
  EXPECT_THAT(text, HasSubstr("Difference to 1, plain, paired, +- standard error:"));
  EXPECT_THAT(text, HasSubstr("| 2 | plain | +3 +- 0 (2) |"));
}

TEST(SweepTable, NothingHasRunYet) {
  const std::string text = to_markdown(plan_of(true), std::vector<CellResult>(12));
  EXPECT_THAT(text, HasSubstr("| 1 | - (0, 3 open) | - (0, 3 open) |"));
}

// A limit that was never crossed is no value of a cell that is done.
TEST(SweepTable, MissingValuesAreCounted) {
  std::vector<CellResult> some = results();
  some[0].values = {std::nullopt};
  EXPECT_THAT(to_markdown(plan_of(true), some), HasSubstr("| 1 | 2.5 +- 0.71 (2 of 3) |"));
}

TEST(SweepTable, JsonAndCsvHoldEverything) {
  const SweepPlan plan = plan_of(true);
  const Json json = to_json(plan, results());
  EXPECT_EQ(json.at("cells").array().size(), 12U);
  EXPECT_EQ(json.at("cells").array()[7].at("status").text(), "diverged");
  EXPECT_EQ(json.at("cells").array()[1].at("axes").at("seed").text(), "1");
  EXPECT_EQ(json.at("cells").array()[1].at("values").at("loss").number(), 2.0);
  const Json& entry = json.at("entries").array()[1];
  EXPECT_EQ(entry.at("row").at("lr").text(), "1");
  EXPECT_EQ(entry.at("column").at("variant").text(), "sigma|x");
  EXPECT_EQ(entry.at("measures").at("loss").at("n").integer(), 3);
  EXPECT_EQ(entry.at("measures").at("loss").at("mean").number(), 2.5);
  EXPECT_DOUBLE_EQ(entry.at("measures").at("loss").at("difference").at("standard_error").number(),
                   0.25 / std::sqrt(3.0));
  EXPECT_EQ(json.at("entries").array()[2].at("diverged").integer(), 1);
  const std::string csv = to_csv(plan, results());
  EXPECT_THAT(csv, HasSubstr("cell,lr,variant,seed,status,exit_code,seconds,loss\n"));
  EXPECT_THAT(csv, HasSubstr("001,1,plain,1,done,0,0.0,2\n"));
  EXPECT_THAT(csv, HasSubstr("101,2,plain,1,diverged,4,0.0,\n"));
}

}  // namespace
}  // namespace clausius
