// SPDX-License-Identifier: Apache-2.0
// Head entropies of a step: exact sums, rows that see nothing, layers without heads, splits and ranks.
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/random_tensor.h"
#include "tests/train/fake_communicator.h"
#include "train/monitor/attention_entropy.h"

namespace clausius {
namespace {

AttentionObservation observe(std::int64_t layer,
                             const Tensor& entropy_BHT,
                             const Tensor& outcomes_BT,
                             const Tensor& max_logit_BH) {
  return {.layer = layer,
          .entropy_BHT = Variable(entropy_BHT),
          .outcomes_BT = outcomes_BT,
          .max_logit_BH = max_logit_BH};
}

TEST(EntropyTotals, SumsOverRowsThatSeeSomething) {
  // One sample, two heads, four rows: the third sees nothing, and what stands there must not count.
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  Telemetry telemetry;
  telemetry.add(
      observe(1,
              Tensor::from(std::vector<float>{0.0F, 0.5F, kNan, 1.0F, 0.0F, 0.25F, 100.0F, 0.5F},
                           {1, 2, 4}),
              Tensor::from(std::vector<std::int32_t>{1, 2, 0, 4}, {1, 4}),
              Tensor::from(std::vector<float>{3.0F, -2.0F}, {1, 2})));
  EntropyTotals totals({0, 2});
  totals.add(telemetry);
  const EntropyReport report = totals.report();
  ASSERT_EQ(report.size(), 2U);
  EXPECT_TRUE(report[0].empty());
  ASSERT_EQ(report[1].size(), 2U);
  const double attainable = std::log(2.0) + std::log(4.0);
  EXPECT_DOUBLE_EQ(report[1][0].entropy_nats, 0.5);
  EXPECT_DOUBLE_EQ(report[1][0].entropy_normalized, 1.5 / attainable);
  EXPECT_EQ(report[1][0].max_logit, 3.0);
  EXPECT_EQ(report[1][0].rows, 3.0);
  EXPECT_DOUBLE_EQ(report[1][1].entropy_nats, 0.25);
  EXPECT_DOUBLE_EQ(report[1][1].entropy_normalized, 0.75 / attainable);
  EXPECT_EQ(report[1][1].max_logit, -2.0);
}

TEST(EntropyTotals, NothingAttainableIsZeroNotNan) {
  Telemetry telemetry;
  telemetry.add(observe(0, Tensor::zeros({1, 1, 2}, Dtype::kF32),
                        Tensor::from(std::vector<std::int32_t>{1, 1}, {1, 2}),
                        Tensor::zeros({1, 1}, Dtype::kF32)));
  EntropyTotals totals({1});
  totals.add(telemetry);
  EXPECT_EQ(totals.report()[0][0].entropy_nats, 0.0);
  EXPECT_EQ(totals.report()[0][0].entropy_normalized, 0.0);
  EXPECT_EQ(totals.report()[0][0].rows, 2.0);
  totals.reset();
  EXPECT_EQ(totals.report()[0][0].rows, 0.0);
  EXPECT_EQ(totals.report()[0][0].entropy_nats, 0.0);
}

// Rows [first, last) of a batch of 8 samples, 3 heads, 16 tokens; a few rows see nothing.
Telemetry part(std::int64_t first, std::int64_t last) {
  Tensor entropy = test::random_normal({8, 3, 16}, "entropy");
  Tensor outcomes = Tensor::empty({8, 16}, Dtype::kI32);
  for (std::int64_t i = 0; i < outcomes.numel(); ++i) {
    outcomes.data<std::int32_t>()[i] = static_cast<std::int32_t>(i % 7 == 3 ? 0 : 1 + i % 16);
  }
  for (double& value : entropy.span<double>()) {
    value = std::abs(value);
  }
  const Tensor logits = test::random_normal({8, 3}, "logits");
  Telemetry telemetry;
  telemetry.add(observe(0, entropy.slice(0, first, last).to(Dtype::kF32),
                        outcomes.slice(0, first, last),
                        logits.slice(0, first, last).to(Dtype::kF32)));
  return telemetry;
}

// Sums of equal terms in another grouping: each of the 128 additions may differ by one f64 rounding.
TEST(EntropyTotals, AnySplitIntoMicroBatchesGivesTheSameSums) {
  EntropyTotals whole({3});
  whole.add(part(0, 8));
  for (const std::vector<std::int64_t>& sizes :
       {std::vector<std::int64_t>{4, 4}, {1, 7}, {1, 1, 1, 1, 1, 1, 1, 1}, {3, 2, 3}}) {
    EntropyTotals split({3});
    std::int64_t first = 0;
    for (const std::int64_t size : sizes) {
      split.add(part(first, first + size));
      first += size;
    }
    ASSERT_EQ(first, 8);
    for (std::size_t head = 0; head < 3; ++head) {
      const HeadEntropy want = whole.report()[0][head];
      const HeadEntropy got = split.report()[0][head];
      const double limit = 128 * 0x1p-53;
      EXPECT_NEAR(got.entropy_nats, want.entropy_nats, limit * want.entropy_nats);
      EXPECT_NEAR(got.entropy_normalized, want.entropy_normalized,
                  2 * limit * want.entropy_normalized);
      EXPECT_EQ(got.max_logit, want.max_logit);
      EXPECT_EQ(got.rows, want.rows);
    }
  }
}

TEST(EntropyTotals, RanksAddSumsAndKeepTheLargestLogit) {
  Telemetry telemetry;
  telemetry.add(observe(0, Tensor::full({1, 1, 1}, 0.5, Dtype::kF32),
                        Tensor::from(std::vector<std::int32_t>{4}, {1, 1}),
                        Tensor::full({1, 1}, -3.0, Dtype::kF32)));
  EntropyTotals totals({1});
  totals.add(telemetry);
  test::FakeCommunicator others(0, 2);
  others.others["entropies"] = 3.0;  // of entropy, of ln outcomes and of rows
  totals.reduce(others);
  const HeadEntropy head = totals.report()[0][0];
  EXPECT_DOUBLE_EQ(head.entropy_nats, 3.5 / 4.0);
  EXPECT_DOUBLE_EQ(head.entropy_normalized, 3.5 / (std::log(4.0) + 3.0));
  EXPECT_EQ(head.rows, 4.0);
  EXPECT_EQ(head.max_logit, -3.0);
}

TEST(EntropyTotals, AWrongNumberOfHeadsIsNamed) {
  Telemetry telemetry;
  telemetry.add(observe(0, Tensor::zeros({1, 2, 1}, Dtype::kF32),
                        Tensor::from(std::vector<std::int32_t>{1}, {1, 1}),
                        Tensor::zeros({1, 2}, Dtype::kF32)));
  EntropyTotals totals({3});
  EXPECT_THROW(totals.add(telemetry), InternalError);
}

}  // namespace
}  // namespace clausius
