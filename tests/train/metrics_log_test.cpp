// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl: which keys stand in a line, what is not finite, and going on after a kill.
#include "train/metrics_log.h"

#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

using ::testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<std::string> keys_of(const Json& line) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : line.object()) {
    keys.push_back(key);
  }
  return keys;
}

class MetricsFile : public testing::Test {
 protected:
  std::filesystem::path file() const { return directory_ / "metrics.jsonl"; }
  // Every line, parsed; the file must end with the end of a line.
  std::vector<Json> lines() const {
    std::vector<Json> parsed;
    std::ifstream stream(file());
    for (std::string line; std::getline(stream, line);) {
      parsed.push_back(Json::parse(line, "metrics.jsonl"));
    }
    return parsed;
  }
  static StepReport report(std::int64_t step) {
    StepReport report{.step = step, .tokens = 1024 * step, .samples = 16 * step, .loss = 2.5};
    report.sampled = true;
    report.lr = 1e-3;
    report.entropy = {{{.entropy_nats = 1.5, .entropy_normalized = 0.5, .max_logit = 7, .rows = 9}},
                      {}};
    return report;
  }

  test::TemporaryDirectory directory_;
};

TEST_F(MetricsFile, ASampledStepHasTheKeysOfTheGuide) {
  MetricsLog log(file(), false);
  log.on_step(report(3));
  const Json line = lines().at(0);
  EXPECT_THAT(keys_of(line), ElementsAre("wall_time", "step", "tokens", "samples", "loss", "lr",
                                         "grad_norm", "update_norm", "tokens_per_second", "step_ms",
                                         "model_tflops", "fraction_of_peak", "peak_memory_bytes",
                                         "entropy_mean", "entropy_normalized", "max_logit"));
  EXPECT_EQ(line.at("step").integer(), 3);
  EXPECT_EQ(line.at("tokens").integer(), 3072);
  EXPECT_EQ(line.at("loss").number(), 2.5);
  // Unix seconds: after the year 2020, and this century.
  EXPECT_GT(line.at("wall_time").number(), 1.5e9);
  EXPECT_LT(line.at("wall_time").number(), 4.2e9);
  // The second layer has no probabilities.
  EXPECT_EQ(line.at("entropy_mean").dump(), "[[1.5],null]");
  EXPECT_EQ(line.at("entropy_normalized").dump(), "[[0.5],null]");
  EXPECT_EQ(line.at("max_logit").dump(), "[[7.0],null]");
}

TEST_F(MetricsFile, WhatAppliesIsAdded) {
  StepReport full = report(1);
  full.aux_losses = {{"z_loss", 0.25}, {"entropy", -1.0}};
  full.bands = {0.0, 0.75, 0.25, 0.0};
  full.alarms = {"collapse: layer 0 head 3"};
  MetricsLog log(file(), false);
  log.on_step(full);
  const Json line = lines().at(0);
  EXPECT_EQ(line.at("aux_losses").dump(), R"({"z_loss":0.25,"entropy":-1.0})");
  EXPECT_EQ(line.at("bands").dump(), "[0.0,0.75,0.25,0.0]");
  EXPECT_EQ(line.at("alarms").dump(), R"(["collapse: layer 0 head 3"])");
}

TEST_F(MetricsFile, StepsThatAreNotSampledLeaveNoLine) {
  StepReport quiet = report(2);
  quiet.sampled = false;
  MetricsLog log(file(), false);
  log.on_step(quiet);
  EXPECT_TRUE(lines().empty());
}

TEST_F(MetricsFile, WhatIsNotFiniteIsNullAndListed) {
  StepReport broken = report(1);
  broken.loss = kNan;
  broken.grad_norm = kInfinity;
  broken.aux_losses = {{"z_loss", -kInfinity}};
  broken.entropy[0][0].max_logit = -kInfinity;
  MetricsLog log(file(), false);
  log.on_step(broken);
  log.on_step(report(2));
  const Json line = lines().at(0);
  EXPECT_TRUE(line.at("loss").is_null());
  EXPECT_TRUE(line.at("grad_norm").is_null());
  EXPECT_EQ(line.at("max_logit").dump(), "[[null],null]");
  EXPECT_EQ(line.at("nonfinite").dump(), R"(["loss","grad_norm","aux_losses","max_logit"])");
  EXPECT_EQ(lines().at(1).find("nonfinite"), nullptr);
}

TEST_F(MetricsFile, EvaluationsAndEventsAreLinesOfTheirOwn) {
  MetricsLog log(file(), false);
  log.on_event(0, "start", "runs/x \"y\"\n");
  log.on_evaluation(50, {.val_loss = 2.25, .val_bits_per_byte = kNan, .samples = 4});
  EXPECT_THAT(keys_of(lines().at(0)), ElementsAre("wall_time", "step", "event", "message"));
  EXPECT_EQ(lines().at(0).at("message").text(), "runs/x \"y\"\n");
  EXPECT_THAT(keys_of(lines().at(1)),
              ElementsAre("wall_time", "step", "val_loss", "val_bits_per_byte", "nonfinite"));
  EXPECT_EQ(lines().at(1).at("val_loss").number(), 2.25);
}

TEST_F(MetricsFile, ANewRunStartsOverAndAResumedOneGoesOn) {
  { MetricsLog(file(), false).on_step(report(1)); }
  {
    std::ofstream torn(file(), std::ios::app);
    torn << R"({"wall_time": 17)";
  }
  { MetricsLog(file(), true).on_step(report(2)); }
  ASSERT_EQ(lines().size(), 2U);
  EXPECT_EQ(lines()[0].at("step").integer(), 1);
  EXPECT_EQ(lines()[1].at("step").integer(), 2);
  { MetricsLog(file(), false).on_step(report(7)); }
  ASSERT_EQ(lines().size(), 1U);
  EXPECT_EQ(lines()[0].at("step").integer(), 7);
}

}  // namespace
}  // namespace clausius
