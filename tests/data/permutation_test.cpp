// SPDX-License-Identifier: Apache-2.0
// Permutation: a bijection of every size, different for every key.
#include "data/permutation.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace clausius {
namespace {

std::vector<std::int64_t> image(std::int64_t size, const RandomStream& stream) {
  const Permutation permutation(size, stream);
  std::vector<std::int64_t> values(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i) {
    values[static_cast<std::size_t>(i)] = permutation(i);
  }
  return values;
}

TEST(Permutation, IsABijectionOfEverySize) {
  for (const std::int64_t size :
       {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 127, 257, 999, 1024, 1025, 4097}) {
    for (const std::uint32_t epoch : {0U, 1U, 2U}) {
      std::vector<std::int64_t> values = image(size, {.seed = 5, .stream = 6, .step = epoch});
      std::ranges::sort(values);
      std::vector<std::int64_t> expected(values.size());
      std::iota(expected.begin(), expected.end(), 0);
      ASSERT_EQ(values, expected) << "size " << size << " epoch " << epoch;
    }
  }
}

TEST(Permutation, DependsOnSeedStreamAndEpoch) {
  const RandomStream key{.seed = 1, .stream = 2, .step = 3};
  const std::vector<std::int64_t> values = image(1000, key);
  EXPECT_EQ(values, image(1000, key));
  EXPECT_NE(values, image(1000, {.seed = 2, .stream = 2, .step = 3}));
  EXPECT_NE(values, image(1000, {.seed = 1, .stream = 3, .step = 3}));
  EXPECT_NE(values, image(1000, {.seed = 1, .stream = 2, .step = 4}));
}

TEST(Permutation, ReachesHugeSizes) {
  const std::int64_t size = (std::int64_t{1} << 40) + 1;
  const Permutation permutation(size, {.seed = 9});
  for (const std::int64_t i : {std::int64_t{0}, size / 2, size - 1}) {
    EXPECT_LT(permutation(i), size);
    EXPECT_GE(permutation(i), 0);
  }
}

// Every item lands everywhere equally often: chi-squared over 1 000 keys with 16 items, 225 degrees of freedom. The
// bound is five standard deviations of the statistic (mean 225, variance 450).
TEST(Permutation, PlacesAreUniform) {
  constexpr int kSize = 16;
  constexpr int kKeys = 1000;
  std::vector<int> counts(std::size_t{kSize} * kSize, 0);
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    const Permutation permutation(kSize, {.seed = 3, .step = key});
    for (int i = 0; i < kSize; ++i) {
      ++counts[static_cast<std::size_t>(i * kSize) + static_cast<std::size_t>(permutation(i))];
    }
  }
  const double expected = static_cast<double>(kKeys) / kSize;
  double statistic = 0.0;
  for (const int count : counts) {
    statistic += (count - expected) * (count - expected) / expected;
  }
  EXPECT_LT(statistic, 225.0 + 5.0 * 21.3);
}

}  // namespace
}  // namespace clausius
