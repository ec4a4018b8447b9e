// SPDX-License-Identifier: Apache-2.0
// Every collective against its definition, on ranks that are threads: all orders, segments, wire types and rank counts.
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/comm/communicator.h"
#include "core/comm/ordered_reduce.h"
#include "core/comm/transport.h"
#include "core/random.h"
#include "tests/core/comm/thread_transport.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

using test::run_ranks;
using ::testing::HasSubstr;

struct Case {
  int ranks = 1;
  std::int64_t n = 1;
  std::int64_t segment_bytes = std::int64_t{16} << 20;
  ReductionOrder order = ReductionOrder::kRank;
  Overlap overlap = Overlap::kInline;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.ranks << " ranks, n " << c.n << ", segments of " << c.segment_bytes
             << (c.order == ReductionOrder::kRank ? ", rank order" : ", tree order")
             << (c.overlap == Overlap::kInline ? ", inline" : ", thread");
}

CommunicatorOptions options_of(const Case& c) {
  return {
      .order = c.order, .overlap = c.overlap, .timeout_s = 30, .segment_bytes = c.segment_bytes};
}

// What rank `rank` contributes: values whose sum depends on the order of additions.
Tensor contribution(int rank, std::int64_t n, Dtype dtype = Dtype::kF32) {
  return test::random_normal({n}, concat("contribution ", rank), std::pow(10.0, rank)).to(dtype);
}

// The definition, one element after the other.
float ordered_sum(std::vector<float> terms, ReductionOrder order) {
  if (order == ReductionOrder::kRank) {
    float sum = terms[0];
    for (std::size_t r = 1; r < terms.size(); ++r) {
      sum += terms[r];
    }
    return sum;
  }
  while (terms.size() > 1) {
    std::vector<float> next;
    for (std::size_t r = 0; r + 1 < terms.size(); r += 2) {
      next.push_back(terms[r] + terms[r + 1]);
    }
    if (terms.size() % 2 == 1) {
      next.push_back(terms.back());
    }
    terms = next;
  }
  return terms[0];
}

Tensor expected_sum(const Case& c, Dtype wire = Dtype::kF32) {
  Tensor result = Tensor::empty({c.n}, Dtype::kF32);
  std::vector<Tensor> all;
  for (int r = 0; r < c.ranks; ++r) {
    all.push_back(contribution(r, c.n).to(wire).to(Dtype::kF32));
  }
  for (std::int64_t i = 0; i < c.n; ++i) {
    std::vector<float> terms;
    for (const Tensor& one : all) {
      terms.push_back(one.data<float>()[i]);
    }
    result.data<float>()[i] = ordered_sum(terms, c.order);
  }
  return result;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

class Collectives : public ::testing::TestWithParam<Case> {};

TEST_P(Collectives, SumsBitForBit) {
  const Case& c = GetParam();
  const Tensor expected = expected_sum(c);
  run_ranks(c.ranks, options_of(c), [&](Communicator& communicator) {
    Tensor values = contribution(communicator.rank(), c.n);
    communicator.all_reduce(values, ReduceOp::kSum, "values");
    EXPECT_TRUE(same_bits(values, expected));

    Tensor bucket = contribution(communicator.rank(), c.n);
    communicator.all_reduce_async(bucket, "bucket").wait();
    EXPECT_TRUE(same_bits(bucket, expected));
  });
}

TEST_P(Collectives, ScatterAndGatherGiveTheAllReduce) {
  Case c = GetParam();
  const std::int64_t part = c.n;
  c.n *= c.ranks;
  const Tensor expected = expected_sum(c);
  run_ranks(c.ranks, options_of(c), [&](Communicator& communicator) {
    const int rank = communicator.rank();
    const Tensor values = contribution(rank, c.n);
    Tensor mine = Tensor::empty({part}, Dtype::kF32);
    communicator.reduce_scatter(values, mine, "gradients");
    EXPECT_TRUE(same_bits(mine, expected.slice(0, rank * part, (rank + 1) * part)));
    EXPECT_TRUE(same_bits(values, contribution(rank, c.n)));
    Tensor all = Tensor::empty({c.n}, Dtype::kF32);
    communicator.all_gather(mine, all, "parameters");
    EXPECT_TRUE(same_bits(all, expected));

    // In place, asynchronously, as sharded optimizers do it.
    Tensor flat = contribution(rank, c.n);
    Tensor own = flat.slice(0, rank * part, (rank + 1) * part);
    const Work scatter = communicator.reduce_scatter_async(flat, own, "bucket");
    const Work gather = communicator.all_gather_async(own, flat, "bucket");
    gather.wait();
    EXPECT_TRUE(scatter.done());
    EXPECT_TRUE(same_bits(flat, expected));
  });
}

TEST_P(Collectives, Bf16OnTheWireRoundsTermsAndSum) {
  const Case& c = GetParam();
  const Tensor expected = expected_sum(c, Dtype::kBf16).to(Dtype::kBf16).to(Dtype::kF32);
  CommunicatorOptions options = options_of(c);
  options.reduce_dtype = Dtype::kBf16;
  run_ranks(c.ranks, options, [&](Communicator& communicator) {
    Tensor bucket = contribution(communicator.rank(), c.n);
    communicator.all_reduce_async(bucket, "bucket").wait();
    EXPECT_TRUE(same_bits(bucket, expected));
    Tensor exact = contribution(communicator.rank(), c.n);
    communicator.all_reduce(exact, ReduceOp::kSum, "losses keep f32");
    EXPECT_TRUE(same_bits(exact, expected_sum(c)));
  });
  Case whole = c;
  whole.n *= c.ranks;
  const Tensor parts = expected_sum(whole, Dtype::kBf16);
  run_ranks(c.ranks, options, [&](Communicator& communicator) {
    const Tensor bucket = contribution(communicator.rank(), whole.n);
    Tensor mine = Tensor::empty({c.n}, Dtype::kF32);
    communicator.reduce_scatter_async(bucket, mine, "bucket").wait();
    EXPECT_TRUE(same_bits(
        mine, parts.slice(0, communicator.rank() * c.n, (communicator.rank() + 1) * c.n)));
  });
}

TEST_P(Collectives, BroadcastGivesTheRoots) {
  const Case& c = GetParam();
  const int root = c.ranks - 1;
  run_ranks(c.ranks, options_of(c), [&](Communicator& communicator) {
    Tensor values = contribution(communicator.rank(), c.n, Dtype::kBf16);
    communicator.broadcast(values, root, "weights");
    EXPECT_TRUE(same_bits(values, contribution(root, c.n, Dtype::kBf16)));
    const std::string text =
        communicator.rank() == root ? std::string("r\0ot", 4) : "something longer";
    EXPECT_EQ(communicator.broadcast_text(text, root), std::string("r\0ot", 4));
    EXPECT_EQ(communicator.broadcast_text("", root), "");
    communicator.barrier();
  });
}

INSTANTIATE_TEST_SUITE_P(
    Cases,
    Collectives,
    ::testing::Values(
        Case{.ranks = 2, .n = 1},
        Case{.ranks = 2, .n = 0},
        Case{.ranks = 3, .n = 7},
        Case{.ranks = 3, .n = 20011},
        Case{.ranks = 5, .n = 20011, .segment_bytes = 1 << 14},
        Case{.ranks = 5, .n = 20011, .segment_bytes = 1 << 14, .order = ReductionOrder::kTree},
        Case{.ranks = 4, .n = 30000, .order = ReductionOrder::kTree, .overlap = Overlap::kThread},
        Case{.ranks = 3, .n = 101, .segment_bytes = 64, .overlap = Overlap::kThread}));

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
