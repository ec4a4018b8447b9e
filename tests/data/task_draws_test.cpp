// SPDX-License-Identifier: Apache-2.0
// The random numbers of synthetic tasks, bit for bit.
#include "data/tasks/task_draws.h"

#include <array>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

namespace clausius {
namespace {

TEST(TaskDraws, AreThoseOfTheirDefinition) {
  TaskDraws draws(7, TaskSplit::kValidation, 0);
  EXPECT_EQ(draws.u64(), 0xc51bda1be9c268bbU);
  EXPECT_EQ(draws.u64(), 0x1c5bf1cef68305adU);
  EXPECT_EQ(draws.u64(), 0x06ba7636e3be0e1aU);
  TaskDraws first(7, TaskSplit::kValidation, 0);
  EXPECT_EQ(first.below(100), 76);
}

TEST(TaskDraws, DifferBySeedSplitAndSample) {
  std::set<std::uint64_t> seen;
  for (const std::uint64_t seed : {0U, 1U, 7U}) {
    for (const TaskSplit split : {TaskSplit::kTrain, TaskSplit::kValidation, TaskSplit::kTest}) {
      for (const std::int64_t sample : {0, 1, 1 << 30}) {
        seen.insert(TaskDraws(seed, split, sample).u64());
      }
    }
  }
  EXPECT_EQ(seen.size(), 27U);
}

// Each value of below(n) within 5 standard deviations of its expected count; large n by the 128-bit product.
TEST(TaskDraws, BelowIsUniform) {
  constexpr std::int64_t kDraws = 60000;
  TaskDraws draws(1, TaskSplit::kTrain, 0);
  std::array<int, 6> counts{};
  double sum = 0;
  for (std::int64_t i = 0; i < kDraws; ++i) {
    ++counts.at(static_cast<std::size_t>(draws.below(6)));
    const double value = draws.uniform();
    ASSERT_TRUE(value >= 0.0 && value < 1.0);
    sum += value;
  }
  for (const int count : counts) {
    EXPECT_NEAR(count, 10000, 5 * 91.3);  // sqrt(n p (1 - p))
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * 0.2887 / 244.9);
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t large = std::int64_t{3} << 60;
    const std::int64_t value = draws.below(large);
    ASSERT_TRUE(value >= 0 && value < large);
  }
}

TEST(TaskDraws, ChooseTakesEachElementOnce) {
  std::array<int, 10> list{};
  std::iota(list.begin(), list.end(), 0);
  TaskDraws draws(1, TaskSplit::kTrain, 3);
  draws.choose(std::span<int>(list), 4);
  EXPECT_EQ(std::set<int>(list.begin(), list.begin() + 4).size(), 4U);
  EXPECT_EQ(std::set<int>(list.begin(), list.end()).size(), 10U);
}

}  // namespace
}  // namespace clausius
