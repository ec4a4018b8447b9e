// SPDX-License-Identifier: Apache-2.0
// Schedules: tables of values, the ends of a run, and durations.
#include "optim/schedule/schedule.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/toy_parameters.h"

namespace clausius {
namespace {

constexpr double kHalf = 0.70710678118654752;  // sqrt(1/2)

struct Row {
  std::string recipe;
  std::int64_t steps = 0;
  std::vector<std::pair<std::int64_t, double>> factors;  // by step
};

const std::vector<Row>& table() {
  static const std::vector<Row> rows = {
      {"constant", 12, {{1, 1.0}, {6, 1.0}, {12, 1.0}}},
      {"{kind: constant, warmup: 4}", 12, {{1, 0.25}, {2, 0.5}, {4, 1.0}, {5, 1.0}, {12, 1.0}}},
      {"{kind: constant, warmup: 1}", 12, {{1, 1.0}, {2, 1.0}}},
      {"{kind: constant, warmup: 25%}", 12, {{1, 1.0 / 3}, {3, 1.0}, {4, 1.0}}},
      {"{kind: linear, warmup: 4}",
       12,
       {{1, 0.25}, {3, 0.75}, {4, 1.0}, {5, 0.875}, {8, 0.5}, {11, 0.125}, {12, 0.0}}},
      {"{kind: linear, final_ratio: 0.5}", 10, {{1, 0.95}, {5, 0.75}, {10, 0.5}}},
      {"{kind: cosine, warmup: 4}",
       12,
       {{1, 0.25}, {4, 1.0}, {6, 0.1 + 0.9 * (0.5 + 0.5 * kHalf)}, {8, 0.55}, {12, 0.1}}},
      {"{kind: cosine, final_ratio: 0.0}",
       4,
       {{1, 0.5 + 0.5 * kHalf}, {2, 0.5}, {3, 0.5 - 0.5 * kHalf}, {4, 0.0}}},
      {"{kind: wsd, warmup: 2}", 10, {{1, 0.5}, {2, 1.0}, {8, 1.0}, {9, 1.0 - kHalf}, {10, 0.0}}},
      {"{kind: wsd, decay: 4, shape: linear, final_ratio: 0.2}",
       10,
       {{1, 1.0}, {6, 1.0}, {7, 0.8}, {8, 0.6}, {9, 0.4}, {10, 0.2}}},
      {"{kind: wsd, decay: 0}", 10, {{1, 1.0}, {9, 1.0}, {10, 1.0}}},
      {"inverse_sqrt", 100, {{1, 1.0}, {4, 0.5}, {16, 0.25}, {100, 0.1}}},
      {"{kind: inverse_sqrt, warmup: 4}",
       64,
       {{1, 0.25}, {3, 0.75}, {4, 1.0}, {16, 0.5}, {64, 0.25}}},
      // A run of one step, and a warm-up longer than the run.
      {"{kind: cosine, final_ratio: 0.25}", 1, {{1, 0.25}}},
      {"{kind: linear, warmup: 8}", 4, {{1, 0.125}, {4, 0.5}}},
  };
  return rows;
}

TEST(Schedule, TableOfValues) {
  for (const Row& row : table()) {
    const auto schedule =
        test::choice_of<Schedule>(row.recipe).make(Duration::Run{.steps = row.steps});
    for (const auto& [step, factor] : row.factors) {
      EXPECT_NEAR(schedule->factor(step), factor, 1e-15) << row.recipe << ", step " << step;
    }
  }
}

// The peak is never passed, the rate rises once and falls once, and no step but those of a fall to zero is without effect.
TEST(Schedule, RisesThenFallsWithinTheUnitInterval) {
  for (const std::string kind : {"constant", "linear", "cosine", "wsd", "inverse_sqrt"}) {
    for (const std::int64_t warmup : {0, 1, 13, 57}) {
      const std::string recipe = concat("{kind: ", kind, ", warmup: ", warmup, "}");
      const auto schedule = test::choice_of<Schedule>(recipe).make(Duration::Run{.steps = 57});
      double before = 0;
      for (std::int64_t step = 1; step <= 57; ++step) {
        const double factor = schedule->factor(step);
        EXPECT_GE(factor, 0.0) << recipe;
        EXPECT_LE(factor, 1.0) << recipe;
        EXPECT_TRUE(factor > 0 || step == 57) << recipe << ", step " << step;
        if (step <= warmup && kind != "wsd") {
          EXPECT_NEAR(factor, static_cast<double>(step) / static_cast<double>(warmup), 1e-15)
              << recipe;
        } else if (step > warmup + 1) {
          EXPECT_LE(factor, before) << recipe << ", step " << step;
        }
        before = factor;
      }
    }
  }
}

TEST(Schedule, WarmupCanBeSaidInTokensAndEpochs) {
  const Duration::Run run{.steps = 100, .steps_per_epoch = 20.0, .tokens_per_step = 512.0};
  for (const char* warmup : {"10", "10%", "5120 tokens", "0.5 epochs"}) {
    const std::string recipe = concat("{kind: constant, warmup: ", warmup, "}");
    const auto schedule = test::choice_of<Schedule>(recipe).make(run);
    EXPECT_EQ(schedule->factor(9), 0.9) << recipe;
    EXPECT_EQ(schedule->factor(10), 1.0) << recipe;
  }
  EXPECT_THROW((void)test::choice_of<Schedule>("{kind: constant, warmup: 1 epoch}")
                   .make(Duration::Run{.steps = 100}),
               ConfigError);
}

}  // namespace
}  // namespace clausius
