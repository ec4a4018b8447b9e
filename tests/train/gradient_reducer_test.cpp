// SPDX-License-Identifier: Apache-2.0
// Buckets of gradients: where they are cut, when and in which order they are launched, what unused parameters send.
#include "train/gradient_reducer.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "autograd/rules/binary.h"
#include "core/error.h"
#include "tests/train/fake_communicator.h"
#include "train/buckets.h"

namespace clausius {
namespace {

constexpr std::int64_t kOne = 16 * sizeof(float);  // bytes of a parameter

using Ranges = std::vector<std::string>;

// Four parameters of 16 elements, called a, b, c, d, with gradients of 5.
class Reducer : public testing::Test {
 protected:
  Reducer() {
    for (const char* name : {"a", "b", "c", "d"}) {
      store_.add(name, Role::kGain, {16}, [](Tensor& value) { value.fill(1.0); });
    }
    store_.allocate();
    store_.allocate_gradients();
    store_.gradients().fill(5.0);
    store_.begin_step();
  }
  Parameter& parameter(const char* name) { return *store_.find(name); }
  // The sum of these parameters, each used once, in this order.
  Variable sum_of(Tape& tape, const std::vector<const char*>& names) {
    const ParameterStore::Bind bind(store_, &tape);
    Variable total(Tensor::zeros({16}, Dtype::kF32));
    for (const char* name : names) {
      total = add(total, parameter(name).variable());
    }
    return total;
  }
  // Elements of the sums launched so far, in their order.
  Ranges launched() {
    Ranges ranges;
    for (const test::FakeCommunicator::Call& call : ranks_.calls) {
      const std::int64_t begin = (call.data - store_.gradients().raw()) / 4;
      ranges.push_back(concat(begin, "..", begin + call.elements));
    }
    return ranges;
  }

  ParameterStore store_;
  test::FakeCommunicator ranks_{0, 2};
};

TEST_F(Reducer, BucketsAreCutFromTheEndAndCoverEverything) {
  const std::vector<std::pair<std::int64_t, Ranges>> table = {
      {1, {"48..64", "32..48", "16..32", "0..16"}},
      {kOne, {"48..64", "32..48", "16..32", "0..16"}},
      {kOne + 4, {"32..64", "0..32"}},
      {3 * kOne, {"16..64", "0..16"}},
      {100 * kOne, {"0..64"}},
  };
  for (const auto& [bytes, ranges] : table) {
    ranks_.calls.clear();
    GradientReducer reducer(store_, ranks_, make_buckets(store_, bytes, 1), false);
    reducer.start(nullptr);
    reducer.finish();
    EXPECT_EQ(launched(), ranges) << bytes;
    EXPECT_EQ(reducer.buckets().size(), ranges.size());
    ASSERT_EQ(reducer.trace().size(), ranges.size());
    std::int64_t elements = 0;
    for (const BucketTrace& bucket : reducer.trace()) {
      elements += bucket.elements;
    }
    EXPECT_EQ(elements, 64);
  }
}

// Every rank launches bucket k after bucket k - 1, however its gradients come in.
TEST_F(Reducer, ABucketWaitsForItsGradientsAndForTheBucketsBeforeIt) {
  GradientReducer reducer(store_, ranks_, make_buckets(store_, kOne, 1), false);
  Tape tape;
  const Variable sum = sum_of(tape, {"a", "b", "c", "d"});
  reducer.start(&tape);
  EXPECT_EQ(launched(), Ranges{});
  reducer.ready(parameter("a"));
  reducer.ready(parameter("c"));
  EXPECT_EQ(launched(), Ranges{});
  reducer.ready(parameter("d"));
  EXPECT_EQ(launched(), (Ranges{"48..64", "32..48"}));
  EXPECT_THROW(reducer.finish(), InternalError);
  reducer.ready(parameter("b"));
  EXPECT_EQ(launched(), (Ranges{"48..64", "32..48", "16..32", "0..16"}));
  reducer.finish();
}

TEST_F(Reducer, ABucketOfSeveralWaitsForAllOfThem) {
  GradientReducer reducer(store_, ranks_, make_buckets(store_, 2 * kOne, 1), false);
  Tape tape;
  const Variable sum = sum_of(tape, {"a", "b", "c", "d"});
  reducer.start(&tape);
  reducer.ready(parameter("d"));
  EXPECT_EQ(launched(), Ranges{});
  reducer.ready(parameter("c"));
  EXPECT_EQ(launched(), (Ranges{"32..64"}));
}

// Sums start while backward goes on: the first bucket is launched when its gradient is final, not at the end.
TEST_F(Reducer, BackwardLaunchesAsItGoes) {
  GradientReducer reducer(store_, ranks_, make_buckets(store_, kOne, 1), false);
  Tape tape;
  const Variable sum = sum_of(tape, {"a", "b", "c", "d"});
  reducer.start(&tape);
  std::vector<std::size_t> launched_after;
  tape.backward(sum, Tensor::full({16}, 0.5, Dtype::kF32), [&](Parameter& ready) {
    reducer.ready(ready);
    launched_after.push_back(ranks_.calls.size());
  });
  EXPECT_EQ(launched_after, (std::vector<std::size_t>{1, 2, 3, 4}));
  reducer.finish();
  for (const float gradient : store_.gradients().span<float>()) {
    EXPECT_EQ(gradient, 0.5F);
  }
}

TEST_F(Reducer, WhatTheTapeDoesNotUseIsZeroUnlessEarlierMicroBatchesUsedIt) {
  GradientReducer reducer(store_, ranks_, make_buckets(store_, kOne, 1), false);
  Tape tape;
  const Variable sum = sum_of(tape, {"a", "c"});
  parameter("d").set_gradient_written();
  reducer.start(&tape);
  EXPECT_EQ(launched(), (Ranges{"48..64"}));
  tape.backward(sum, Tensor::full({16}, 0.5, Dtype::kF32),
                [&](Parameter& ready) { reducer.ready(ready); });
  reducer.finish();
  const auto gradients = store_.gradients().span<float>();
  EXPECT_EQ(gradients[0], 0.5F);   // a: used
  EXPECT_EQ(gradients[16], 0.0F);  // b: never used
  EXPECT_EQ(gradients[32], 0.5F);  // c: used
  EXPECT_EQ(gradients[48], 5.0F);  // d: what was there
}

// Borders fall where every rank gets whole cache lines, inside of parameters too; a parameter that a border cuts keeps both buckets waiting.
TEST(SharedBuckets, AreCutIntoEqualShares) {
  ParameterStore store;
  for (const char* name : {"a", "b", "c", "d"}) {
    store.add(name, Role::kGain, {40}, [](Tensor& value) { value.fill(1.0); });
  }
  store.allocate(3);  // four times 48 elements, padded to a multiple of 48
  store.allocate_gradients();
  ASSERT_EQ(store.size(), 192);
  const std::vector<FlatRange> buckets = make_buckets(store, 240, 3);
  std::int64_t end = store.size();
  for (const FlatRange& bucket : buckets) {
    EXPECT_EQ(bucket.end, end);
    EXPECT_EQ(bucket.size() % 48, 0);
    end = bucket.begin;
  }
  EXPECT_EQ(end, 0);
  std::vector<bool> owned(192, false);
  for (int rank = 0; rank < 3; ++rank) {
    for (const FlatRange& share : shares_of(buckets, rank, 3)) {
      EXPECT_EQ(share.begin % 16, 0);
      for (std::int64_t i = share.begin; i < share.end; ++i) {
        EXPECT_FALSE(owned[static_cast<std::size_t>(i)]) << i;
        owned[static_cast<std::size_t>(i)] = true;
      }
    }
  }
  EXPECT_EQ(std::count(owned.begin(), owned.end(), true), 192);
  EXPECT_THROW((void)make_buckets(store, 240, 5), InternalError);
}

TEST(SharedBuckets, ACutParameterHoldsBothBack) {
  ParameterStore store;
  for (const char* name : {"a", "b"}) {
    store.add(name, Role::kGain, {48}, [](Tensor& value) { value.fill(1.0); });
  }
  store.allocate(2);
  store.allocate_gradients();
  store.begin_step();
  test::FakeCommunicator ranks(0, 2);
  // b begins at 48, no multiple of 32: its first 16 elements are in the second bucket.
  GradientReducer reducer(store, ranks, make_buckets(store, 4, 2), true);
  ASSERT_EQ(reducer.buckets().size(), 2U);
  EXPECT_EQ(reducer.buckets()[0].begin, 64);
  Tape tape;
  const ParameterStore::Bind bind(store, &tape);
  const Variable sum = add(store.find("a")->variable(), store.find("b")->variable());
  reducer.start(&tape);
  reducer.ready(*store.find("a"));
  EXPECT_EQ(ranks.calls.size(), 0U);
  reducer.ready(*store.find("b"));
  EXPECT_EQ(ranks.calls.size(), 2U);
  reducer.finish();
}

TEST_F(Reducer, EverySumIncludesTheOtherRanks) {
  ranks_.others["gradient bucket "] = 2.0;
  GradientReducer reducer(store_, ranks_, make_buckets(store_, 2 * kOne, 1), false);
  for (int step = 0; step < 2; ++step) {
    store_.begin_step();
    reducer.start(nullptr);
    reducer.finish();
    for (const float gradient : store_.gradients().span<float>()) {
      ASSERT_EQ(gradient, 2.0F) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace clausius
