// SPDX-License-Identifier: Apache-2.0
// layer_norm: case table, statistics, cancellation, optional parameters.
#include "core/ops/layer_norm/layer_norm.h"

#include <cmath>

#include <gtest/gtest.h>

#include "autograd/rules/layer_norm.h"
#include "core/parallel.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

std::vector<OpCase> layer_norm_rows() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, const Shape& shape, Fill fill) {
    const std::int64_t rows = shape.numel() / std::max<std::int64_t>(1, shape[-1]);
    cases.push_back({.name = name,
                     .inputs = {{.shape = shape, .fill = fill},
                                {.shape = {shape[-1]}, .fill = Fill::kUniform, .keep_f32 = true},
                                {.shape = {shape[-1]}, .keep_f32 = true}},
                     .fn =
                         [](const std::vector<Variable>& x) {
                           return std::vector{layer_norm(x[0], x[1], x[2], 1e-5)};
                         },
                     .reduction = std::max(rows, shape[-1]),
                     .roundings = 2,
                     .gradcheck = {.step = fill == Fill::kHuge ? 1e-2 : 1e-5}});
  };
  add("size_0", {0, 5}, Fill::kNormal);
  add("one_row", {1, 8}, Fill::kNormal);
  add("prime", {3, 7, 31}, Fill::kNormal);
  add("wide", {2, 1037}, Fill::kNormal);
  add("tall", {301, 17}, Fill::kNormal);
  add("huge", {4, 67}, Fill::kHuge);
  cases.push_back({.name = "no_parameters",
                   .inputs = {{.shape = {5, 33}}},
                   .fn =
                       [](const std::vector<Variable>& x) {
                         return std::vector{layer_norm(x[0], Variable(), Variable(), 1e-5)};
                       },
                   .reduction = 33,
                   .roundings = 2});
  cases.push_back(
      {.name = "no_bias",
       .inputs = {{.shape = {5, 33}}, {.shape = {33}, .fill = Fill::kUniform, .keep_f32 = true}},
       .fn =
           [](const std::vector<Variable>& x) {
             return std::vector{layer_norm(x[0], x[1], Variable(), 1e-5)};
           },
       .reduction = 33,
       .roundings = 2});
  return cases;
}

CLS_OP_CASES(layer_norm, (layer_norm_rows()));

TEST(LayerNorm, VarianceDoesNotCancelFarFromZero) {
  Tensor x = random_normal({1, 257}, "offset");
  for (double& value : x.span<double>()) {
    value += 4096.0;
  }
  const Tensor narrow = x.to(Dtype::kF32);
  const ops::LayerNormOutput got = ops::layer_norm(narrow, {}, {}, 0.0);
  const ops::LayerNormOutput want = ops::layer_norm(narrow.to(Dtype::kF64), {}, {}, 0.0);
  // The mean is rounded to f32: half an ulp of 4096 against a deviation of 1.
  expect_close(got.rstd, want.rstd, 1e-6, "rstd");
  expect_close(got.y, want.y, 0x1p-11, "y");
}

TEST(LayerNorm, StatisticsOfAConstantRow) {
  const ops::LayerNormOutput out =
      ops::layer_norm(Tensor::full({2, 3}, 5.0, Dtype::kF32), {}, {}, 0.25);
  EXPECT_EQ(out.mean.span<float>()[1], 5.0F);
  EXPECT_EQ(out.rstd.span<float>()[1], 2.0F);
  EXPECT_EQ(out.y.span<float>()[4], 0.0F);
}

TEST(LayerNorm, ColumnSumsDoNotDependOnThreads) {
  const Tensor x = random_normal({1000, 40}, "x").to(Dtype::kF32);
  const Tensor dy = random_normal({1000, 40}, "dy").to(Dtype::kF32);
  const Tensor gain = Tensor::full({40}, 1.0, Dtype::kF32);
  const ops::LayerNormOutput out = ops::layer_norm(x, gain, {}, 1e-5);
  const int threads = num_threads();
  set_num_threads(1);
  const ops::LayerNormGradients one =
      ops::layer_norm_backward(dy, x, gain, out.mean, out.rstd, true);
  set_num_threads(3);
  const ops::LayerNormGradients three =
      ops::layer_norm_backward(dy, x, gain, out.mean, out.rstd, true);
  set_num_threads(threads);
  expect_bits_equal(one.dgain, three.dgain, "dgain");
  expect_bits_equal(one.dbias, three.dbias, "dbias");
}

TEST(LayerNorm, RefusesAnotherWidthAndType) {
  const Tensor x = Tensor::zeros({2, 4}, Dtype::kBf16);
  EXPECT_THROW((void)ops::layer_norm(x, Tensor::zeros({3}, Dtype::kF32), {}, 1e-5), ShapeError);
  EXPECT_THROW((void)ops::layer_norm(x, Tensor::zeros({4}, Dtype::kBf16), {}, 1e-5), DtypeError);
}

}  // namespace
}  // namespace clausius::test
