// SPDX-License-Identifier: Apache-2.0
// Sampler: epochs are complete, mixtures keep their weights everywhere.
#include "data/sampler.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "tests/data/files.h"

namespace clausius {
namespace {

using Rows = std::vector<std::int64_t>;

TEST(Sampler, InOrderItWalksTheParts) {
  const Sampler sampler = Sampler::joined(Rows{2, 1, 3}, false, 1, "test");
  EXPECT_EQ(sampler.epoch_size(), 6);
  Rows parts;
  Rows rows;
  for (std::int64_t i = 0; i < 8; ++i) {
    parts.push_back(sampler.at(i).part);
    rows.push_back(sampler.at(i).row);
  }
  EXPECT_EQ(parts, (Rows{0, 0, 1, 2, 2, 2, 0, 0}));
  EXPECT_EQ(rows, (Rows{0, 1, 0, 0, 1, 2, 0, 1}));
}

TEST(Sampler, ShuffledEpochsAreCompleteAndDiffer) {
  const Rows counts = {5, 17, 8};
  const Sampler sampler = Sampler::joined(counts, true, 1, "test");
  std::set<Rows> orders;
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
    Rows order;
    std::set<std::pair<std::int64_t, std::int64_t>> seen;
    for (std::int64_t i = 0; i < 30; ++i) {
      const SamplePlace place = sampler.at(epoch * 30 + i);
      ASSERT_LT(place.row, counts[static_cast<std::size_t>(place.part)]);
      seen.insert({place.part, place.row});
      order.push_back(place.part * 100 + place.row);
    }
    EXPECT_EQ(seen.size(), 30U);
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 5U);
  const Sampler other = Sampler::joined(counts, true, 2, "test");
  const auto differ = [&](std::int64_t i) {
    return other.at(i).row != sampler.at(i).row || other.at(i).part != sampler.at(i).part;
  };
  EXPECT_TRUE(differ(0) || differ(1) || differ(2) || differ(3));
}

// After any number of turns a part is less than one sample away from its share: that is what turns are for. (For more
// than two parts the greedy rule may be further behind, never by more than the number of parts.)
TEST(Sampler, MixturesKeepTheirWeightsAtEveryPoint) {
  for (const std::vector<double>& weights :
       {std::vector{0.5, 0.5}, std::vector{3.0, 1.0}, std::vector{0.7, 0.2, 0.1},
        std::vector{1.0, 1.0 / 16000.0}}) {
    const Rows rows(weights.size(), 50);
    const Sampler sampler = Sampler::mixture(rows, weights, true, 1, "test");
    double total = 0.0;
    for (const double weight : weights) {
      total += weight;
    }
    std::vector<double> drawn(weights.size(), 0.0);
    for (std::int64_t i = 0; i < 40000; ++i) {
      drawn[static_cast<std::size_t>(sampler.at(i).part)] += 1.0;
      for (std::size_t part = 0; part < weights.size(); ++part) {
        const double share = static_cast<double>(i + 1) * weights[part] / total;
        // One sample by the turns, and the rounding of each cycle of 2^14 turns to whole samples.
        ASSERT_LT(std::abs(drawn[part] - share),
                  static_cast<double>(weights.size()) + 40000.0 / 16384.0);
      }
    }
  }
}

TEST(Sampler, EachPartOfAMixtureHasCompleteEpochs) {
  const Rows rows = {7, 40};
  const Sampler sampler = Sampler::mixture(rows, std::vector{2.0, 1.0}, true, 1, "test");
  EXPECT_EQ(sampler.epoch_size(), 47);
  std::vector<Rows> drawn(2);
  for (std::int64_t i = 0; i < 50000; ++i) {
    const SamplePlace place = sampler.at(i);
    drawn[static_cast<std::size_t>(place.part)].push_back(place.row);
  }
  for (std::size_t part = 0; part < 2; ++part) {
    const auto size = static_cast<std::size_t>(rows[part]);
    for (std::size_t begin = 0; begin + size <= drawn[part].size(); begin += size) {
      const std::set<std::int64_t> epoch(
          drawn[part].begin() + static_cast<std::ptrdiff_t>(begin),
          drawn[part].begin() + static_cast<std::ptrdiff_t>(begin + size));
      ASSERT_EQ(epoch.size(), size);
    }
  }
}

TEST(Sampler, EqualPartsAreReadInDifferentOrders) {
  const Sampler sampler = Sampler::mixture(Rows{100, 100}, std::vector{1.0, 1.0}, true, 1, "test");
  int equal = 0;
  for (std::int64_t i = 0; i < 200; i += 2) {
    ASSERT_NE(sampler.at(i).part, sampler.at(i + 1).part);
    equal += sampler.at(i).row == sampler.at(i + 1).row ? 1 : 0;
  }
  EXPECT_LT(equal, 20);
}

TEST(Sampler, WeightsTooSmallToHonourAreRefused) {
  const auto message = [](const std::vector<double>& weights) {
    return test::error_of<DataError>([&] {
      (void)Sampler::mixture(Rows{5, 5}, weights, true, 1, "test");
    });
  };
  EXPECT_EQ(message({16383.5, 0.5}),
            "weight 0.5 of part 1 of a mixture whose weights add up to 16384; expected at least 1");
  EXPECT_EQ(message({0.0, 16384.0}),
            "weight 0 of part 0 of a mixture whose weights add up to 16384; expected at least 1");
}

}  // namespace
}  // namespace clausius
