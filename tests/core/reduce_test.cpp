// SPDX-License-Identifier: Apache-2.0
// sum, mean and max: case table, accumulation, broadcasting undone.
#include "core/ops/reduce/reduce.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "autograd/rules/reduce.h"
#include "core/parallel.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

std::vector<OpCase> reduce_rows() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, const Shape& shape, const ops::Axes& axes,
                       Fill fill) {
    const auto row = [&](const std::string& op, auto fn) {
      cases.push_back({.name = op + "_" + name,
                       .inputs = {{.shape = shape, .fill = fill}},
                       .fn = [fn](const std::vector<Variable>& x) { return std::vector{fn(x[0])}; },
                       .reduction = shape.numel(),
                       .gradcheck = {.step = fill == Fill::kHuge ? 1e-2 : 1e-5}});
    };
    row("sum", [axes](const Variable& x) { return sum(x, axes); });
    row("mean", [axes](const Variable& x) { return mean(x, axes, true); });
    if (axes.size() == 1) {
      row("max", [axis = axes[0]](const Variable& x) { return max(x, axis); });
    }
  };
  add("no_rows", {0, 5}, {1}, Fill::kNormal);
  add("one_element", {1}, {0}, Fill::kNormal);
  add("scalar", {}, {}, Fill::kNormal);
  add("last", {7, 31}, {-1}, Fill::kNormal);
  add("first", {31, 7}, {0}, Fill::kNormal);
  add("middle", {3, 11, 5}, {1}, Fill::kNormal);
  add("two_leading", {3, 11, 37}, {0, 1}, Fill::kNormal);
  add("apart", {3, 4, 5, 2}, {0, 2}, Fill::kNormal);
  add("apart_at_the_end", {3, 4, 5}, {0, -1}, Fill::kNormal);
  add("all", {5, 41, 3}, {0, 1, 2}, Fill::kNormal);
  add("long_row", {2, 40007}, {1}, Fill::kNormal);
  add("tall", {1301, 19}, {0}, Fill::kNormal);
  add("huge", {9, 67}, {1}, Fill::kHuge);
  return cases;
}

CLS_OP_CASES(reduce, (reduce_rows()));

TEST(Reduce, LongSumsKeepTheirDigits) {
  // 2^20 times 0.1f in one f32 accumulator is off by 1e-3. Ours adds at most 128 terms in f32 (2048 elements over four chains of
  // at least four lanes) before it moves to f64.
  const std::int64_t n = 1 << 20;
  const double exact = static_cast<double>(n) * static_cast<double>(0.1F);
  EXPECT_NEAR(ops::sum(Tensor::full({n}, 0.1, Dtype::kF32)).item(), exact, exact * 128 * 0x1p-24);
}

TEST(Reduce, BitsDoNotDependOnThreads) {
  const Tensor x = random_normal({700, 230}, "x").to(Dtype::kF32);
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor rows = ops::sum(x, {1});
  const Tensor columns = ops::sum(x, {0});
  const Tensor all = ops::sum(x);
  set_num_threads(3);
  expect_bits_equal(ops::sum(x, {1}), rows, "rows");
  expect_bits_equal(ops::sum(x, {0}), columns, "columns");
  expect_bits_equal(ops::sum(x), all, "all");
  set_num_threads(threads);
}

TEST(Reduce, EmptySumsAreZeroAndEmptyMeansAreErrors) {
  EXPECT_EQ(ops::sum(Tensor::zeros({0, 3}, Dtype::kF32), {0}).span<float>()[2], 0.0F);
  EXPECT_THROW((void)ops::mean(Tensor::zeros({0, 3}, Dtype::kF32), {0}), ShapeError);
  EXPECT_THROW((void)ops::max(Tensor::zeros({3, 0}, Dtype::kF32), 1), ShapeError);
  EXPECT_THROW((void)ops::sum(Tensor::zeros({2, 3}, Dtype::kF32), {0, -2}), ShapeError);
  EXPECT_THROW((void)ops::sum(Tensor::zeros({2, 3}, Dtype::kF32), {2}), ShapeError);
}

TEST(Reduce, MaxTakesTheFirstOfEqualsAndShowsNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from(std::vector<float>{1, 3, 3, 9, nan, nan, -inf, -inf, -inf}, {3, 3});
  const ops::MaxOutput out = ops::max(x, 1);
  EXPECT_EQ(out.value.span<float>()[0], 3.0F);
  EXPECT_EQ(out.index.span<std::int64_t>()[0], 1);
  EXPECT_TRUE(std::isnan(out.value.span<float>()[1]));
  EXPECT_EQ(out.index.span<std::int64_t>()[1], 1);
  EXPECT_EQ(out.value.span<float>()[2], -inf);
  EXPECT_EQ(out.index.span<std::int64_t>()[2], 0);
}

TEST(Reduce, SumToUndoesBroadcasting) {
  const Tensor x = random_normal({2, 3, 4}, "x");
  EXPECT_EQ(ops::sum_to(x, {3, 1}, Dtype::kF64).shape(), (Shape{3, 1}));
  expect_close(ops::sum_to(x, {3, 1}, Dtype::kF64).reshape({3}), ops::sum(x, {0, 2}), 1e-15,
               "sum_to");
  EXPECT_TRUE(ops::sum_to(x, {2, 3, 4}, Dtype::kF64).shares_storage_with(x));
  EXPECT_THROW((void)ops::sum_to(x, {2, 4}, Dtype::kF64), ShapeError);
}

}  // namespace
}  // namespace clausius::test
