// SPDX-License-Identifier: Apache-2.0
// dropout: case table, the mask as a pure function of sample and element.
#include "core/ops/dropout/dropout.h"

#include <cmath>

#include <gtest/gtest.h>

#include "autograd/rules/dropout.h"
#include "core/ops/dropout/dropout_reference.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

constexpr RandomStream kStream{.seed = 11, .stream = 5, .step = 3};

Tensor samples(std::int64_t batch, std::int64_t first) {
  Tensor ids = Tensor::empty({batch}, Dtype::kI64);
  for (std::int64_t b = 0; b < batch; ++b) {
    ids.data<std::int64_t>()[b] = first + b;
  }
  return ids;
}

std::vector<OpCase> dropout_rows() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, const Shape& shape, double p) {
    cases.push_back({.name = name,
                     .inputs = {{.shape = shape}},
                     .fn =
                         [p, ids = samples(shape[0], 100)](const std::vector<Variable>& x) {
                           return std::vector{dropout(x[0], p, kStream, ids)};
                         },
                     .roundings = 2,
                     .check_gradient = shape.numel() < 1000});
  };
  add("size_0", {0, 5}, 0.5);
  add("size_1", {1}, 0.5);
  add("prime", {3, 7, 31}, 0.1);
  add("over_a_block", {2, 16411}, 0.5);
  add("almost_all", {2, 129}, 0.99);
  return cases;
}

CLS_OP_CASES(dropout, (dropout_rows()));

TEST(Dropout, FastMaskIsTheReferenceMask) {
  const Tensor x = Tensor::full({3, 4099}, 1.0, Dtype::kF32);
  const Tensor ids = samples(3, 17);
  const Tensor got = ops::dropout(x, 0.3, kStream, ids);
  Tensor want = Tensor::empty(x.shape(), Dtype::kF32);
  ops::dropout_reference<float>(x, ids, want, 0.3, kStream);
  expect_bits_equal(got, want, "mask");
}

TEST(Dropout, ASampleKeepsItsMaskInAnyBatch) {
  const Tensor x = random_normal({4, 131}, "x").to(Dtype::kF32);
  const Tensor whole = ops::dropout(x, 0.4, kStream, samples(4, 0));
  const Tensor half = ops::dropout(x.slice(0, 2, 4), 0.4, kStream, samples(2, 2));
  expect_bits_equal(half, whole.slice(0, 2, 4), "samples 2 and 3");
}

TEST(Dropout, DropsTheShareAskedFor) {
  const double p = 0.2;
  const Tensor y =
      ops::dropout(Tensor::full({8, 4096}, 1.0, Dtype::kF32), p, kStream, samples(8, 0));
  double dropped = 0;
  for (const float value : y.span<float>()) {
    dropped += value == 0.0F ? 1 : 0;
    EXPECT_TRUE(value == 0.0F || value == 1.25F);
  }
  const double n = 8 * 4096;
  EXPECT_NEAR(dropped / n, p, 5 * std::sqrt(p * (1 - p) / n));
}

TEST(Dropout, StepsAndStreamsDiffer) {
  const Tensor x = Tensor::full({1, 256}, 1.0, Dtype::kF32);
  RandomStream later = kStream;
  later.step = 4;
  const Tensor a = ops::dropout(x, 0.5, kStream, samples(1, 0));
  const Tensor b = ops::dropout(x, 0.5, later, samples(1, 0));
  int different = 0;
  for (std::size_t i = 0; i < 256; ++i) {
    different += a.span<float>()[i] != b.span<float>()[i] ? 1 : 0;
  }
  EXPECT_GT(different, 64);
}

TEST(Dropout, BadArgumentsAreNamed) {
  const Tensor x = Tensor::zeros({2, 3}, Dtype::kF32);
  EXPECT_THROW((void)ops::dropout(x, 1.0, kStream, samples(2, 0)), ConfigError);
  EXPECT_THROW((void)ops::dropout(x, 0.5, kStream, samples(3, 0)), ShapeError);
  EXPECT_THROW((void)ops::dropout(x, 0.5, kStream, Tensor::zeros({2}, Dtype::kI32)), DtypeError);
  EXPECT_TRUE(ops::dropout(x, 0.0, kStream, samples(2, 0)).shares_storage_with(x));
}

}  // namespace
}  // namespace clausius::test
