// SPDX-License-Identifier: Apache-2.0
// Every pointwise op: case table, limits at the edges of the number line.
#include "autograd/rules/pointwise.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "core/ops/pointwise.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

using PointwiseFn = Variable (*)(const Variable&);
struct PointwiseOp {
  const char* name;
  PointwiseFn fn;
};

#define CLS_POINTWISE(name, Struct) {#name, &::clausius::name},
constexpr PointwiseOp kOps[] = {
#include "core/ops/pointwise_list.inc"
};
#undef CLS_POINTWISE

// log, sqrt, rsqrt and reciprocal are smooth on the positive half only.
bool needs_positive(const std::string& name) {
  return name == "log" || name == "sqrt" || name == "rsqrt" || name == "reciprocal";
}

// Their derivative jumps at 0, which huge inputs never meet and central differences would.
std::vector<OpCase> pointwise_rows() {
  std::vector<OpCase> cases;
  for (const PointwiseOp& op : kOps) {
    const auto add = [&](const std::string& row, const Shape& shape, Fill fill) {
      const bool exponential = std::string(op.name) == "exp";
      if (needs_positive(op.name) || (exponential && fill == Fill::kHuge)) {
        fill = Fill::kUniform;
      }
      cases.push_back(
          {.name = std::string(op.name) + "_" + row,
           .inputs = {{.shape = shape, .fill = fill}},
           .fn = [fn = op.fn](const std::vector<Variable>& x) { return std::vector{fn(x[0])}; },
           .check_gradient = shape.numel() < 1000,
           .gradcheck = {.step = fill == Fill::kHuge ? 1e-3 : 1e-5}});
    };
    add("size_0", {0, 5}, Fill::kNormal);
    add("size_1", {1}, Fill::kNormal);
    add("prime", {7, 31}, Fill::kNormal);
    add("over_a_block", {3, 16411}, Fill::kNormal);
    add("huge", {5, 67}, Fill::kHuge);
  }
  return cases;
}

CLS_OP_CASES(pointwise, (pointwise_rows()));

float at(Tensor (*op)(const Tensor&), float x) {
  return op(Tensor::from(std::vector<float>{x}, {1})).span<float>()[0];
}

TEST(Pointwise, EdgesOfTheNumberLine) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float largest = std::numeric_limits<float>::max();
#define CLS_POINTWISE(name, Struct) EXPECT_TRUE(std::isnan(at(&ops::name, nan))) << #name;
#include "core/ops/pointwise_list.inc"
#undef CLS_POINTWISE
  EXPECT_EQ(at(&ops::exp, -inf), 0.0F);
  EXPECT_EQ(at(&ops::exp, inf), inf);
  EXPECT_EQ(at(&ops::exp, -largest), 0.0F);
  EXPECT_EQ(at(&ops::log, 0.0F), -inf);
  EXPECT_EQ(at(&ops::log, inf), inf);
  EXPECT_TRUE(std::isnan(at(&ops::log, -1.0F)));
  EXPECT_EQ(at(&ops::rsqrt, 0.0F), inf);
  EXPECT_EQ(at(&ops::rsqrt, inf), 0.0F);
  EXPECT_EQ(at(&ops::tanh, inf), 1.0F);
  EXPECT_EQ(at(&ops::tanh, -largest), -1.0F);
  EXPECT_EQ(at(&ops::sigmoid, -inf), 0.0F);
  EXPECT_EQ(at(&ops::sigmoid, largest), 1.0F);
  EXPECT_EQ(at(&ops::softplus, -inf), 0.0F);
  EXPECT_EQ(at(&ops::softplus, inf), inf);
  for (const auto& op : {&ops::gelu, &ops::gelu_erf, &ops::silu, &ops::relu}) {
    EXPECT_EQ(at(op, -inf), 0.0F);
    EXPECT_EQ(at(op, -largest), 0.0F);
    EXPECT_EQ(at(op, largest), largest);
    EXPECT_EQ(at(op, inf), inf);
    EXPECT_EQ(at(op, 0.0F), 0.0F);
  }
}

TEST(Pointwise, GradientsSurviveInfinities) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from(std::vector<float>{-inf, -1e30F, 1e30F, inf}, {4});
  const Tensor dy = Tensor::full({4}, 1.0, Dtype::kF32);
  const std::vector<float> step{0.0F, 0.0F, 1.0F, 1.0F};
  for (const auto& backward : {&ops::gelu_backward, &ops::gelu_erf_backward, &ops::silu_backward,
                               &ops::relu_backward, &ops::softplus_backward}) {
    const Tensor dx = backward(dy, x);
    EXPECT_EQ(std::vector<float>(dx.span<float>().begin(), dx.span<float>().end()), step);
  }
  for (const auto& backward : {&ops::tanh_backward, &ops::sigmoid_backward}) {
    const Tensor dx = backward(dy, x);
    for (const float value : dx.span<float>()) {
      EXPECT_EQ(value, 0.0F);
    }
  }
}

TEST(Pointwise, IntegersAndMismatchesAreRefused) {
  EXPECT_THROW((void)ops::gelu(Tensor::zeros({2}, Dtype::kI32)), DtypeError);
  EXPECT_THROW(
      (void)ops::gelu_backward(Tensor::zeros({2}, Dtype::kF32), Tensor::zeros({3}, Dtype::kF32)),
      ShapeError);
  EXPECT_THROW(
      (void)ops::gelu_backward(Tensor::zeros({2}, Dtype::kF32), Tensor::zeros({2}, Dtype::kF64)),
      DtypeError);
}

}  // namespace
}  // namespace clausius::test
