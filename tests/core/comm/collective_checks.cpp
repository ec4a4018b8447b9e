// SPDX-License-Identifier: Apache-2.0
// Definitions of the collectives, element by element, and comparisons bit by bit.
#include "tests/core/comm/collective_checks.h"

#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

// The definition, one element after the other.
float ordered_sum(std::vector<float> terms, ReductionOrder order) {
  if (order != ReductionOrder::kTree) {
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

Tensor expected_sum(int ranks, std::int64_t n, ReductionOrder order, Dtype wire = Dtype::kF32) {
  Tensor result = Tensor::empty({n}, Dtype::kF32);
  std::vector<Tensor> all;
  for (int r = 0; r < ranks; ++r) {
    all.push_back(contribution(r, n).to(wire).to(Dtype::kF32));
  }
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<float> terms;
    for (const Tensor& one : all) {
      terms.push_back(one.data<float>()[i]);
    }
    result.data<float>()[i] = ordered_sum(terms, order);
  }
  return result;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const CollectiveCase& c) {
  return out << "n " << c.n << ", segments of " << c.segment_bytes
             << (c.order == ReductionOrder::kTree ? ", tree order" : ", rank order") << " on "
             << c.device << (c.overlap == Overlap::kInline ? ", inline" : ", thread");
}

CommunicatorOptions options_of(const CollectiveCase& c, Dtype reduce_dtype) {
  return {.order = c.order,
          .reduce_dtype = reduce_dtype,
          .overlap = c.overlap,
          .timeout_s = 60,
          .segment_bytes = c.segment_bytes};
}

Tensor contribution(int rank, std::int64_t n, Dtype dtype) {
  return random_normal({n}, concat("contribution ", rank), std::pow(10.0, rank)).to(dtype);
}

bool same_bits(const Tensor& there, const Tensor& expected) {
  const Tensor a = there.to(kCpu);
  const Tensor b = expected.to(kCpu);
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

void check_all_reduce(Communicator& communicator, const CollectiveCase& c) {
  const Tensor expected = expected_sum(communicator.size(), c.n, c.order);
  Tensor values = contribution(communicator.rank(), c.n).to(c.device);
  communicator.all_reduce(values, ReduceOp::kSum, "values");
  EXPECT_TRUE(same_bits(values, expected)) << c;
  Tensor bucket = contribution(communicator.rank(), c.n).to(c.device);
  communicator.all_reduce_async(bucket, "bucket").wait();
  EXPECT_TRUE(same_bits(bucket, expected)) << c;
}

void check_scatter_and_gather(Communicator& communicator, const CollectiveCase& c) {
  const int rank = communicator.rank();
  const std::int64_t n = c.n * communicator.size();
  const Tensor expected = expected_sum(communicator.size(), n, c.order);
  const Tensor values = contribution(rank, n).to(c.device);
  Tensor mine = Tensor::empty({c.n}, Dtype::kF32, c.device);
  communicator.reduce_scatter(values, mine, "gradients");
  EXPECT_TRUE(same_bits(mine, expected.slice(0, rank * c.n, (rank + 1) * c.n))) << c;
  EXPECT_TRUE(same_bits(values, contribution(rank, n))) << c;
  Tensor all = Tensor::empty({n}, Dtype::kF32, c.device);
  communicator.all_gather(mine, all, "parameters");
  EXPECT_TRUE(same_bits(all, expected)) << c;

  // In place, asynchronously, as sharded optimizers do it.
  Tensor flat = contribution(rank, n).to(c.device);
  Tensor own = flat.slice(0, rank * c.n, (rank + 1) * c.n);
  const Work scatter = communicator.reduce_scatter_async(flat, own, "bucket");
  const Work gather = communicator.all_gather_async(own, flat, "bucket");
  gather.wait();
  scatter.wait();
  EXPECT_TRUE(same_bits(flat, expected)) << c;
}

void check_bf16_wire(Communicator& communicator, const CollectiveCase& c) {
  const int rank = communicator.rank();
  Tensor bucket = contribution(rank, c.n).to(c.device);
  communicator.all_reduce_async(bucket, "bucket").wait();
  const Tensor rounded = expected_sum(communicator.size(), c.n, c.order, Dtype::kBf16)
                             .to(Dtype::kBf16)
                             .to(Dtype::kF32);
  EXPECT_TRUE(same_bits(bucket, rounded)) << c;
  Tensor exact = contribution(rank, c.n).to(c.device);
  communicator.all_reduce(exact, ReduceOp::kSum, "losses keep f32");
  EXPECT_TRUE(same_bits(exact, expected_sum(communicator.size(), c.n, c.order))) << c;

  const std::int64_t n = c.n * communicator.size();
  Tensor mine = Tensor::empty({c.n}, Dtype::kF32, c.device);
  communicator.reduce_scatter_async(contribution(rank, n).to(c.device), mine, "bucket").wait();
  const Tensor parts = expected_sum(communicator.size(), n, c.order, Dtype::kBf16);
  EXPECT_TRUE(same_bits(mine, parts.slice(0, rank * c.n, (rank + 1) * c.n))) << c;
}

void check_broadcast(Communicator& communicator, const CollectiveCase& c) {
  const int root = communicator.size() - 1;
  Tensor values = contribution(communicator.rank(), c.n, Dtype::kBf16).to(c.device);
  communicator.broadcast(values, root, "weights");
  EXPECT_TRUE(same_bits(values, contribution(root, c.n, Dtype::kBf16))) << c;
  const std::string text =
      communicator.rank() == root ? std::string("r\0ot", 4) : "something longer";
  EXPECT_EQ(communicator.broadcast_text(text, root), std::string("r\0ot", 4));
  EXPECT_EQ(communicator.broadcast_text("", root), "");
  communicator.barrier();
}

}  // namespace clausius::test
