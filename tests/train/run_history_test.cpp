// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl read back: torn lines, resumed runs, missing values.
#include "train/run_history.h"

#include <cmath>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RunHistoryTest : public ::testing::Test {
 protected:
  RunHistory read(const std::string& text) const {
    std::ofstream(directory_ / "metrics.jsonl") << text;
    return read_run_history(directory_ / "metrics.jsonl");
  }
  static std::vector<std::int64_t> steps_of(const RunHistory& history) {
    std::vector<std::int64_t> steps;
    for (const StepRecord& record : history.steps) {
      steps.push_back(record.step);
    }
    return steps;
  }
  std::string error_of(const std::string& text) const {
    try {
      (void)read(text);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  test::TemporaryDirectory directory_;
};

TEST_F(RunHistoryTest, ReadsEveryKindOfLine) {
  const RunHistory history = read(
      "{\"wall_time\":1.0,\"step\":0,\"event\":\"start\",\"message\":\"runs/x\"}\n"
      "{\"step\":10,\"tokens\":640,\"loss\":2.5,\"lr\":0.1,\"grad_norm\":null,\"entropy_mean\":[[1."
      "0,"
      "2.0],null],\"entropy_normalized\":[[0.5,null],null],\"bands\":[0.25,0.75],\"alarms\":["
      "\"sink\"],\"nonfinite\":[\"grad_norm\"]}\n"
      "{\"step\":10,\"val_loss\":2.25,\"val_bits_per_byte\":3.0}\n");
  ASSERT_EQ(history.steps.size(), 1U);
  const StepRecord& step = history.steps[0];
  EXPECT_EQ(step.tokens, 640);
  EXPECT_EQ(step.loss, 2.5);
  EXPECT_TRUE(std::isnan(step.grad_norm));
  EXPECT_TRUE(std::isnan(step.step_ms));
  ASSERT_EQ(step.entropy_normalized.size(), 2U);
  EXPECT_EQ(step.entropy_nats[0], (std::vector<double>{1.0, 2.0}));
  EXPECT_TRUE(std::isnan(step.entropy_normalized[0][1]));
  EXPECT_TRUE(step.entropy_normalized[1].empty());
  EXPECT_EQ(step.bands, (std::vector<double>{0.25, 0.75}));
  EXPECT_THAT(step.alarms, ElementsAre("sink"));
  ASSERT_EQ(history.evaluations.size(), 1U);
  EXPECT_EQ(history.evaluations[0].val_bits_per_byte, 3.0);
  ASSERT_EQ(history.events.size(), 1U);
  EXPECT_EQ(history.events[0].message, "runs/x");
}

TEST_F(RunHistoryTest, TornLastLineIsPassedOver) {
  EXPECT_THAT(steps_of(read("{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2}\n{\"step\":3,\"lo")),
              ElementsAre(1, 2));
  EXPECT_TRUE(read("").steps.empty());
  EXPECT_TRUE(read("{\"step\":1").steps.empty());
}

TEST_F(RunHistoryTest, WhatAResumeThrewAwayIsDropped) {
  const RunHistory history = read(
      "{\"step\":10,\"loss\":5}\n{\"step\":20,\"loss\":4}\n{\"step\":20,\"val_loss\":4.5}\n"
      "{\"step\":30,\"loss\":3}\n{\"step\":30,\"val_loss\":3.5}\n"
      "{\"step\":20,\"event\":\"resume\",\"message\":\"\"}\n{\"step\":25,\"loss\":3.9}\n");
  EXPECT_THAT(steps_of(history), ElementsAre(10, 20, 25));
  ASSERT_EQ(history.evaluations.size(), 1U);
  EXPECT_EQ(history.evaluations[0].val_loss, 4.5);
}

TEST_F(RunHistoryTest, WrongLinesAreNamed) {
  EXPECT_THAT(error_of("{\"step\":1,\"loss\":3}\nnonsense\n"), HasSubstr("metrics.jsonl:2"));
  EXPECT_THAT(error_of("{\"loss\":3}\n"), HasSubstr("metrics.jsonl:1: expected an object"));
  EXPECT_THROW((void)read_run_history(directory_ / "none"), IoError);
}

TEST(HeadTables, ComeBackFromJson) {
  const HeadTable table = {{0.5, std::nan("")}, {}, {1.0}};
  const Json document = to_json(table);
  EXPECT_EQ(document.dump(), "[[0.5,null],null,[1.0]]");
  const HeadTable back = read_head_table(document);
  ASSERT_EQ(back.size(), 3U);
  EXPECT_EQ(back[0][0], 0.5);
  EXPECT_TRUE(std::isnan(back[0][1]));
  EXPECT_TRUE(back[1].empty());
  EXPECT_EQ(mean_of(back[0]), 0.5);
  EXPECT_TRUE(std::isnan(mean_of(back[1])));
}

TEST(HeadTables, TextHoldsNumbersAndBlocks) {
  const std::string text = entropy_text({{2.0, 0.1}, {}}, {{0.99, 0.01}, {}});
  EXPECT_THAT(text, HasSubstr("2.000 0.100"));
  EXPECT_THAT(text, HasSubstr("\xE2\x96\x88\xE2\x96\x81"));  // full and lowest block
  EXPECT_EQ(entropy_text({{}, {}}, {{}, {}}), "");
}

}  // namespace
}  // namespace clausius
