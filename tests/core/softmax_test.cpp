// SPDX-License-Identifier: Apache-2.0
// softmax: case table, masked rows, large logits.
#include "core/ops/softmax/softmax.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "autograd/rules/binary.h"
#include "autograd/rules/softmax.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

std::vector<OpCase> softmax_rows() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, const Shape& shape, int axis, Fill fill) {
    cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .fill = fill}},
         // x itself is an output too: a saturated softmax alone has gradients of rounding noise only.
         .fn =
             [axis](const std::vector<Variable>& x) {
               return std::vector{softmax(x[0], axis), scale(x[0], 1.0)};
             },
         .reduction = shape[axis],
         .roundings = 3});
  };
  add("size_0", {0, 5}, -1, Fill::kNormal);
  add("size_1", {1, 1}, -1, Fill::kNormal);
  add("prime", {2, 7}, -1, Fill::kNormal);
  add("middle_axis", {3, 5, 63}, 1, Fill::kNormal);
  add("first_axis", {13, 9}, 0, Fill::kNormal);
  add("over_a_block", {2, 1000}, -1, Fill::kNormal);
  add("wide", {2, 4111}, -1, Fill::kNormal);
  add("huge", {3, 101}, -1, Fill::kHuge);
  add("one_hot", {3, 101}, -1, Fill::kOneHot);
  return cases;
}

CLS_OP_CASES(softmax, (softmax_rows()));

TEST(Softmax, MaskedRowsAreZero) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values{-inf, -inf, -inf, 0, -inf, 0};
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16, Dtype::kF64}) {
    const Tensor y = ops::softmax(Tensor::from(values, {2, 3}).to(dtype)).to(Dtype::kF32);
    const std::vector<float> want{0, 0, 0, 0.5F, 0, 0.5F};
    EXPECT_EQ(std::vector<float>(y.span<float>().begin(), y.span<float>().end()), want) << dtype;
  }
}

TEST(Softmax, NanStaysVisible) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor y = ops::softmax(Tensor::from(std::vector<float>{1, nan, 2, 3}, {1, 4}));
  EXPECT_TRUE(std::isnan(y.span<float>()[0]));
}

TEST(Softmax, RowsSumToOneWhateverTheShift) {
  std::vector<float> values(257);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = 3e4F + static_cast<float>(i % 7);
  }
  const Tensor y = ops::softmax(Tensor::from(values, {1, 257}));
  double sum = 0;
  for (const float value : y.span<float>()) {
    sum += value;
  }
  EXPECT_NEAR(sum, 1.0, 257 * 0x1p-24);
}

}  // namespace
}  // namespace clausius::test
