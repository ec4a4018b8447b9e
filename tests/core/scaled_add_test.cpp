// SPDX-License-Identifier: Apache-2.0
// scaled_add: case table, and equality with the plain sum where both factors are 1.
#include "core/ops/scaled_add/scaled_add.h"

#include <gtest/gtest.h>

#include "autograd/rules/scaled_add.h"
#include "core/error.h"
#include "core/ops/binary/binary.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

std::vector<OpCase> scaled_rows() {
  std::vector<OpCase> rows;
  const auto add = [&](const std::string& name, const Shape& shape, Fill fill = Fill::kNormal) {
    const OpInput factor{.shape = {1}, .fill = Fill::kUniform, .keep_f32 = true};
    rows.push_back({.name = name,
                    .inputs = {{.shape = shape, .fill = fill}, factor, {.shape = shape}, factor},
                    .fn = [](const std::vector<Variable>& in) -> std::vector<Variable> {
                      return {scaled_add(in[0], in[1], in[2], in[3])};
                    },
                    .reduction = std::max<std::int64_t>(1, shape.numel()),
                    .check_gradient = shape.numel() < 1000,
                    .gradcheck = {.step = fill == Fill::kHuge ? 1e-3 : 1e-5}});
  };
  add("size_0", {0, 3});
  add("size_1", {1});
  add("prime", {7, 31});
  add("huge", {5, 17}, Fill::kHuge);
  add("over_a_chunk", {2, 3, 8209});
  return rows;
}

CLS_OP_CASES(scaled_add, (scaled_rows()));

void expect_plain_sum(Dtype dtype, Device device) {
  const Tensor a = random_normal({5, 33}, "a").to(dtype).to(device);
  const Tensor b = random_normal({5, 33}, "b").to(dtype).to(device);
  const Tensor one =
      Tensor::full({1}, 1.0, dtype == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32, device);
  expect_bits_equal(ops::scaled_add(a, one, b, one).to(kCpu), ops::add(a, b).to(kCpu), "y");
  const ops::ScaledAddGradients gradients = ops::scaled_add_backward(a, a, one, b, one);
  expect_bits_equal(gradients.da.to(kCpu), a.to(kCpu), "da");
  expect_bits_equal(gradients.db.to(kCpu), a.to(kCpu), "db");
}

TEST(ScaledAdd, FactorsOfOneAreThePlainSumBitForBit) {
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
    expect_plain_sum(dtype, kCpu);
  }
}

class CudaScaledAdd : public OnCuda<> {};

TEST_F(CudaScaledAdd, FactorsOfOneAreThePlainSumBitForBit) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    expect_plain_sum(dtype, kCuda);
  }
}

TEST(ScaledAdd, MistakesAreNamed) {
  const Tensor a = Tensor::zeros({2, 3}, Dtype::kF32);
  const Tensor one = Tensor::full({1}, 1.0, Dtype::kF32);
  EXPECT_THROW((void)ops::scaled_add(a, one, Tensor::zeros({3}, Dtype::kF32), one), ShapeError);
  EXPECT_THROW((void)ops::scaled_add(a, a, a, one), ShapeError);
  EXPECT_THROW((void)ops::scaled_add(a, one, Tensor::zeros({2, 3}, Dtype::kBf16), one), DtypeError);
}

}  // namespace
}  // namespace clausius::test
