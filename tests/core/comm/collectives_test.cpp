// SPDX-License-Identifier: Apache-2.0
// Every collective against its definition, on ranks that are threads: all orders, segments, wire types and rank counts.
#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/comm/communicator.h"
#include "core/comm/transport.h"
#include "tests/core/comm/collective_checks.h"
#include "tests/core/comm/thread_transport.h"

namespace clausius {
namespace {

using test::contribution;
using test::run_ranks;
using test::same_bits;
using ::testing::HasSubstr;

struct ThreadCase : test::CollectiveCase {
  int ranks = 1;
};

std::ostream& operator<<(std::ostream& out, const ThreadCase& c) {
  return out << c.ranks << " ranks, " << static_cast<const test::CollectiveCase&>(c);
}

class Collectives : public ::testing::TestWithParam<ThreadCase> {
 protected:
  using Check = void (*)(Communicator&, const test::CollectiveCase&);
  void run(Check check, Dtype reduce_dtype = Dtype::kF32) {
    run_ranks(GetParam().ranks, options_of(GetParam(), reduce_dtype),
              [&](Communicator& communicator) { check(communicator, GetParam()); });
  }
};

TEST_P(Collectives, SumsBitForBit) {
  run(test::check_all_reduce);
}
TEST_P(Collectives, ScatterAndGatherGiveTheAllReduce) {
  run(test::check_scatter_and_gather);
}
TEST_P(Collectives, Bf16OnTheWireRoundsTermsAndSum) {
  run(test::check_bf16_wire, Dtype::kBf16);
}
TEST_P(Collectives, BroadcastGivesTheRoots) {
  run(test::check_broadcast);
}

INSTANTIATE_TEST_SUITE_P(
    Cases,
    Collectives,
    ::testing::Values(
        ThreadCase{{.n = 1}, 2},
        ThreadCase{{.n = 0}, 2},
        ThreadCase{{.n = 7}, 3},
        ThreadCase{{.n = 20011}, 3},
        ThreadCase{{.n = 20011, .segment_bytes = 1 << 14}, 5},
        ThreadCase{{.n = 20011, .segment_bytes = 1 << 14, .order = ReductionOrder::kTree}, 5},
        ThreadCase{{.n = 30000, .order = ReductionOrder::kTree, .overlap = Overlap::kThread}, 4},
        ThreadCase{{.n = 101, .segment_bytes = 64, .overlap = Overlap::kThread}, 3}));

TEST(Reduce, MaxAndMinLetNanWin) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const int odd : {0, 1, 2}) {
    run_ranks(3, {.timeout_s = 30}, [&](Communicator& communicator) {
      const float own = communicator.rank() == odd ? nan : static_cast<float>(communicator.rank());
      Tensor values = Tensor::from(
          std::vector<float>{own, static_cast<float>(communicator.rank()), -infinity}, {3});
      Tensor smallest = values.clone();
      communicator.all_reduce(values, ReduceOp::kMax);
      EXPECT_TRUE(std::isnan(values.data<float>()[0]));
      EXPECT_EQ(values.data<float>()[1], 2.0F);
      EXPECT_EQ(values.data<float>()[2], -infinity);
      communicator.all_reduce(smallest, ReduceOp::kMin);
      EXPECT_TRUE(std::isnan(smallest.data<float>()[0]));
      EXPECT_EQ(smallest.data<float>()[1], 0.0F);
    });
  }
}

TEST(Reduce, IntegersAndDoublesAreExact) {
  run_ranks(3, {.timeout_s = 30}, [](Communicator& communicator) {
    const std::int64_t big = (std::int64_t{1} << 53) + 1;
    EXPECT_EQ(communicator.all_reduce(big, ReduceOp::kSum), 3 * big);
    EXPECT_EQ(communicator.all_reduce(big + communicator.rank(), ReduceOp::kMax), big + 2);
    EXPECT_EQ(communicator.all_reduce(-big - communicator.rank(), ReduceOp::kMin), -big - 2);
    EXPECT_EQ(communicator.all_reduce(1e-300 * (1 + communicator.rank()), ReduceOp::kSum),
              1e-300 + 2e-300 + 3e-300);
  });
}

TEST(Reduce, TreeOfTwoAndFourAgree) {
  // The four terms of four ranks, added in pairs on two ranks first: the same tree, so the same bits.
  Tensor four;
  run_ranks(4, {.order = ReductionOrder::kTree, .timeout_s = 30}, [&](Communicator& communicator) {
    Tensor values = contribution(communicator.rank(), 999);
    communicator.all_reduce(values);
    if (communicator.rank() == 0) {
      four = values;
    }
  });
  run_ranks(2, {.order = ReductionOrder::kTree, .timeout_s = 30}, [&](Communicator& communicator) {
    Tensor values = contribution(2 * communicator.rank(), 999);
    const Tensor second = contribution(2 * communicator.rank() + 1, 999);
    for (std::int64_t i = 0; i < 999; ++i) {
      values.data<float>()[i] += second.data<float>()[i];
    }
    communicator.all_reduce(values);
    EXPECT_TRUE(same_bits(values, four));
  });
}

TEST(Collective, RefusesWhatDoesNotFit) {
  const auto single = detail::make_single_communicator();
  Tensor halves = Tensor::zeros({2}, Dtype::kBf16);
  EXPECT_THROW(single->all_reduce(halves), DtypeError);
  Tensor strided = Tensor::zeros({2, 3}, Dtype::kF32).transpose(0, 1);
  EXPECT_THROW(single->all_reduce(strided), ShapeError);
  Tensor three = Tensor::zeros({3}, Dtype::kF32);
  Tensor four = Tensor::zeros({4}, Dtype::kF32);
  EXPECT_THROW(single->all_gather(three, four), ShapeError);
  EXPECT_THROW(single->broadcast(three, 1), ShapeError);
  EXPECT_THROW((void)make_communicator({.reduce_dtype = Dtype::kF64}), ConfigError);
  EXPECT_THROW((void)make_communicator({.timeout_s = 0}), ConfigError);
}

TEST(Collective, SingleProcessCopies) {
  const auto single = make_communicator();
  EXPECT_EQ(single->size(), 1);
  EXPECT_GE(single->cores_per_rank(), 1);
  const Tensor values = contribution(0, 5);
  Tensor mine = Tensor::empty({5}, Dtype::kF32);
  single->reduce_scatter(values, mine);
  EXPECT_TRUE(same_bits(mine, values));
  Tensor all = Tensor::empty({5}, Dtype::kF32);
  single->all_gather_async(mine, all, "all").wait();
  EXPECT_TRUE(same_bits(all, values));
  EXPECT_EQ(single->all_reduce(2.5, ReduceOp::kSum), 2.5);
  EXPECT_EQ(single->broadcast_text("x"), "x");
}

TEST(DesyncGuard, NamesTheOddRank) {
  for (const int odd : {0, 1, 2, 3}) {
    run_ranks(4, {.timeout_s = 30}, [&](Communicator& communicator) {
      check_in_sync(communicator, 0xffffffffffffffffU, "step 7");
      check_in_sync(communicator, 0, "step 8");
      const std::uint64_t hash =
          communicator.rank() == odd ? 0x8000000000000000U : 0x7fffffffffffffffU;
      try {
        check_in_sync(communicator, hash, "step 9");
        ADD_FAILURE() << "not noticed";
      } catch (const CommError& error) {
        EXPECT_THAT(error.what(), HasSubstr(concat("(step 9): rank ", odd,
                                                   " of 4 differs from rank ", odd == 0 ? 1 : 0)));
      }
    });
  }
}

TEST(DesyncGuard, TwoRanksNameTheSecond) {
  run_ranks(2, {.timeout_s = 30}, [](Communicator& communicator) {
    EXPECT_THROW(check_in_sync(communicator, static_cast<std::uint64_t>(communicator.rank()), "x"),
                 CommError);
  });
}

}  // namespace
}  // namespace clausius
