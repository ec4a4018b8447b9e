// SPDX-License-Identifier: Apache-2.0
// leaky_relu: case table with the slope learned and fixed, and what it must equal.
#include "core/ops/leaky_relu/leaky_relu.h"

#include <gtest/gtest.h>

#include "autograd/rules/leaky_relu.h"
#include "core/error.h"
#include "core/ops/pointwise.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

std::vector<OpCase> leaky_rows() {
  std::vector<OpCase> rows;
  const auto add = [&](const std::string& name, const Shape& shape, Fill fill = Fill::kNormal) {
    rows.push_back({.name = name,
                    .inputs = {{.shape = shape, .fill = fill},
                               {.shape = {1}, .fill = Fill::kUniform, .keep_f32 = true}},
                    .fn = [](const std::vector<Variable>& in) -> std::vector<Variable> {
                      return {leaky_relu(in[0], in[1])};
                    },
                    .reduction = std::max<std::int64_t>(1, shape.numel()),
                    .check_gradient = shape.numel() < 1000,
                    // Values nearer to the kink than the step would be measured across it.
                    .gradcheck = {.step = fill == Fill::kHuge ? 1e-3 : 1e-6}});
  };
  add("size_0", {0, 3});
  add("size_1", {1});
  add("prime", {7, 31});
  add("huge", {5, 17}, Fill::kHuge);
  add("over_a_chunk", {2, 3, 8209});
  return rows;
}

CLS_OP_CASES(leaky_relu, (leaky_rows()));

Tensor slope_of(double value) {
  return Tensor::full({1}, value, Dtype::kF32);
}

TEST(LeakyRelu, SlopesZeroAndOneAreReluAndIdentity) {
  const Tensor x = random_normal({3, 41}, "x").to(Dtype::kF32);
  expect_bits_equal(ops::leaky_relu(x, slope_of(1.0)), x, "identity");
  const Tensor flat = ops::leaky_relu(x, slope_of(0.0));
  expect_close(flat, ops::relu(x), 0.0, "relu");
}

TEST(LeakyRelu, AFixedSlopeHasNoGradient) {
  const Tensor x = random_normal({8}, "x").to(Dtype::kF32);
  EXPECT_FALSE(ops::leaky_relu_backward(x, x, slope_of(0.1), false).dslope.defined());
  EXPECT_TRUE(ops::leaky_relu_backward(x, x, slope_of(0.1), true).dslope.defined());
}

TEST(LeakyRelu, MistakesAreNamed) {
  const Tensor x = random_normal({2, 3}, "x").to(Dtype::kF32);
  EXPECT_THROW((void)ops::leaky_relu(x, Tensor::zeros({2}, Dtype::kF32)), ShapeError);
  EXPECT_THROW((void)ops::leaky_relu(x, Tensor::zeros({1}, Dtype::kBf16)), DtypeError);
  EXPECT_THROW((void)ops::leaky_relu(Tensor::zeros({1}, Dtype::kI32), slope_of(1.0)), DtypeError);
}

}  // namespace
}  // namespace clausius::test
