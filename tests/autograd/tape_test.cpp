// SPDX-License-Identifier: Apache-2.0
// The tape: sums of gradients, in-place destinations, splits, parameters, ready events,
// recomputation.
#include "autograd/tape.h"

#include <gtest/gtest.h>

#include "autograd/gradcheck.h"
#include "autograd/parameter.h"
#include "autograd/recompute.h"
#include "autograd/rules/views.h"
#include "core/error.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius {
namespace {

using test::expect_bits_equal;
using test::random_normal;

// y = a * b, the smallest rule with two gradients.
Variable times(const Variable& a, const Variable& b) {
  const auto product = [](const Tensor& x, const Tensor& y) {
    Tensor z = Tensor::empty(x.shape(), x.dtype());
    const Tensor xs = x.contiguous();
    const Tensor ys = y.contiguous();
    for (std::size_t i = 0; i < z.span<double>().size(); ++i) {
      z.span<double>()[i] = xs.span<double>()[i] * ys.span<double>()[i];
    }
    return z;
  };
  return record("times", product(a.value(), b.value()), {a, b},
                [product, x = a.value(), y = b.value()](const Tensor& dy) -> Gradients {
                  return {product(dy, y), product(dy, x)};
                });
}

TEST(Tape, AddsGradientsOfSeveralUses) {
  const auto cube = [](const std::vector<Variable>& in) {
    return std::vector{times(times(in[0], in[0]), in[0])};
  };
  EXPECT_EQ(gradcheck(cube, {random_normal({5}, "x")}), "");
}

TEST(Tape, WrongGradientIsFound) {
  const auto wrong = [](const std::vector<Variable>& in) {
    return std::vector{record("wrong", times(in[0], in[0]).value(), {in[0]},
                              [](const Tensor& dy) -> Gradients { return {dy}; })};
  };
  EXPECT_NE(gradcheck(wrong, {random_normal({3}, "x")}), "");
}

TEST(Tape, ViewsPassGradcheck) {
  const std::vector<std::int64_t> sizes = {2, 1, 3};
  const auto fn = [&](const std::vector<Variable>& in) {
    const std::vector<Variable> parts = split(in[0], 1, sizes);
    const Variable joined = concat({parts[2], parts[0]}, 1);
    return std::vector{times(joined, joined), transpose(slice(in[0], 0, 1, 3), 0, 1),
                       reshape(parts[1], {4}), parts[2]};
  };
  EXPECT_EQ(gradcheck(fn, {random_normal({4, 6}, "x")}), "");
}

TEST(Tape, ConstantsRecordNothing) {
  const Variable x(random_normal({3}, "x"));
  EXPECT_FALSE(times(x, x).tracked());
}

TEST(Tape, BackwardRunsOnce) {
  Tape tape;
  const Variable x = tape.watch(random_normal({3}, "x"));
  const Variable y = times(x, x);
  tape.backward(y, cotangent(y.value(), 0));
  EXPECT_THROW(tape.backward(y, cotangent(y.value(), 0)), InternalError);
}

class StoreTest : public testing::Test {
 protected:
  StoreTest() : store(Dtype::kF32, Dtype::kF64) {
    const auto random = [](const char* name) {
      return [name](Tensor& value) { value.copy_from(random_normal(value.shape(), name)); };
    };
    a = &store.add("a", Role::kMatrix, {3}, random("a"));
    b = &store.add("b", Role::kGain, {3}, random("b"));
    store.allocate();
    store.allocate_gradients();
  }
  ParameterStore store;
  Parameter* a = nullptr;
  Parameter* b = nullptr;
};

TEST_F(StoreTest, ParametersStartOnCacheLines) {
  EXPECT_EQ(b->offset(), 16);
  EXPECT_EQ(store.size(), 32);
  EXPECT_EQ(store.num_parameters(), 6);
  EXPECT_THROW(store.add("c", Role::kBias, {1}, {}), InternalError);
}

TEST_F(StoreTest, ReadyFiresOnceAfterTheLastUse) {
  Tape tape;
  const ParameterStore::Bind bind(store, &tape);
  store.begin_step();
  const Variable x = tape.watch(random_normal({3}, "x"));
  const Variable y = times(times(times(x, a->variable()), b->variable()), a->variable());
  EXPECT_EQ(tape.pending_uses(*a), 2);
  std::vector<std::string> order;
  tape.backward(y, cotangent(y.value(), 0),
                [&](Parameter& parameter) { order.push_back(parameter.path()); });
  EXPECT_EQ(order, (std::vector<std::string>{"b", "a"}));
}

TEST_F(StoreTest, GradientsAccumulateOverMicroBatches) {
  const auto run = [&] {
    Tape tape;
    const ParameterStore::Bind bind(store, &tape);
    const Variable y = times(a->variable(), a->variable());
    tape.backward(y, Tensor::full({3}, 1.0, Dtype::kF64));
  };
  store.begin_step();
  run();
  const Tensor once = a->gradient().clone();
  run();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(a->gradient().span<double>()[static_cast<std::size_t>(i)],
              2 * once.span<double>()[static_cast<std::size_t>(i)]);
  }
  store.begin_step();
  run();
  expect_bits_equal(a->gradient(), once, "a new step overwrites");
}

TEST_F(StoreTest, RecomputeIsBitEqual) {
  const Tensor input = random_normal({3}, "x");
  int silent_runs = 0;
  const auto block = [&](std::span<const Variable> in, bool again) {
    silent_runs += again ? 1 : 0;
    const Variable y = times(times(in[0], a->variable()), b->variable());
    return std::vector{y, times(y, y)};
  };
  const auto run = [&](bool recomputed, Tensor& dx) {
    store.begin_step();
    Tape tape;
    const ParameterStore::Bind bind(store, &tape);
    const Variable x = tape.watch(input);
    const std::vector<Parameter*> parameters = {a, b};
    const auto y =
        recomputed ? recompute(store, parameters, {&x, 1}, block) : block({&x, 1}, false);
    const std::vector<Tape::Seed> seeds = {{y[0], cotangent(y[0].value(), 0)},
                                           {y[1], cotangent(y[1].value(), 1)}};
    int ready = 0;
    tape.backward(seeds, [&](Parameter& /*parameter*/) { ++ready; });
    EXPECT_EQ(ready, 2);
    dx = tape.gradient(x);
    return store.gradients().clone();
  };
  Tensor dx_plain;
  Tensor dx_again;
  const Tensor plain = run(false, dx_plain);
  const Tensor again = run(true, dx_again);
  expect_bits_equal(again, plain, "parameter gradients");
  expect_bits_equal(dx_again, dx_plain, "input gradient");
  EXPECT_EQ(silent_runs, 1);
}

TEST_F(StoreTest, NoGradRecordsNothing) {
  Tape tape;
  const ParameterStore::Bind bind(store, &tape);
  const NoGrad no_grad(store);
  EXPECT_FALSE(a->variable().tracked());
}

}  // namespace
}  // namespace clausius
