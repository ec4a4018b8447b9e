// SPDX-License-Identifier: Apache-2.0
// rms_norm: case table, the form without a gain.
#include "core/ops/rms_norm/rms_norm.h"

#include <gtest/gtest.h>

#include "autograd/rules/rms_norm.h"
#include "core/parallel.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

std::vector<OpCase> rms_norm_rows() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, const Shape& shape, Fill fill, double eps = 1e-5) {
    const std::int64_t rows = shape.numel() / std::max<std::int64_t>(1, shape[-1]);
    cases.push_back({.name = name,
                     .inputs = {{.shape = shape, .fill = fill},
                                {.shape = {shape[-1]}, .fill = Fill::kUniform, .keep_f32 = true}},
                     .fn =
                         [eps](const std::vector<Variable>& x) {
                           return std::vector{rms_norm(x[0], x[1], eps)};
                         },
                     .reduction = std::max(rows, shape[-1]),
                     .roundings = 2,
                     .gradcheck = {.step = fill == Fill::kHuge ? 1e-2 : 1e-5}});
  };
  add("size_0", {0, 5}, Fill::kNormal);
  // A single element is its own norm: without a large eps its gradient is rounding noise only.
  add("one_element", {1, 1}, Fill::kNormal, 1.0);
  add("prime", {3, 7, 31}, Fill::kNormal);
  add("wide", {2, 1037}, Fill::kNormal);
  add("tall", {301, 17}, Fill::kNormal);
  add("huge", {4, 67}, Fill::kHuge);
  add("one_hot", {4, 67}, Fill::kOneHot);
  cases.push_back({.name = "simple",
                   .inputs = {{.shape = {5, 33}}},
                   .fn =
                       [](const std::vector<Variable>& x) {
                         return std::vector{rms_norm(x[0], Variable(), 1e-6)};
                       },
                   .reduction = 33,
                   .roundings = 2});
  return cases;
}

CLS_OP_CASES(rms_norm, (rms_norm_rows()));

TEST(RmsNorm, KnownValues) {
  const Tensor x = Tensor::from(std::vector<float>{3, 4, 0, 0}, {1, 4});
  const ops::RmsNormOutput out =
      ops::rms_norm(x, Tensor::from(std::vector<float>{1, 2, 1, 1}, {4}), 0.0);
  EXPECT_FLOAT_EQ(out.rstd.span<float>()[0], 0.4F);
  EXPECT_FLOAT_EQ(out.y.span<float>()[0], 1.2F);
  EXPECT_FLOAT_EQ(out.y.span<float>()[1], 3.2F);
}

TEST(RmsNorm, GainGradientDoesNotDependOnThreads) {
  const Tensor x = random_normal({1000, 40}, "x").to(Dtype::kF32);
  const Tensor dy = random_normal({1000, 40}, "dy").to(Dtype::kF32);
  const Tensor gain = Tensor::full({40}, 1.0, Dtype::kF32);
  const ops::RmsNormOutput out = ops::rms_norm(x, gain, 1e-5);
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor one = ops::rms_norm_backward(dy, x, gain, out.rstd).dgain;
  set_num_threads(3);
  const Tensor three = ops::rms_norm_backward(dy, x, gain, out.rstd).dgain;
  set_num_threads(threads);
  expect_bits_equal(one, three, "dgain");
}

}  // namespace
}  // namespace clausius::test
