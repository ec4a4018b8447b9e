// SPDX-License-Identifier: Apache-2.0
// add, sub, mul, div, scale and accumulate: case tables over ways to broadcast.
#include "core/ops/binary/binary.h"

#include <gtest/gtest.h>

#include "autograd/rules/binary.h"
#include "core/ops/accumulate/accumulate.h"
#include "core/ops/scale/scale.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"
#include "tests/support/simd_targets.h"

namespace clausius::test {
namespace {

using BinaryFn = Variable (*)(const Variable&, const Variable&);

std::vector<OpCase> binary_rows() {
  std::vector<OpCase> cases;
  const std::pair<const char*, BinaryFn> list[] = {
      {"add", &add}, {"sub", &sub}, {"mul", &mul}, {"div", &div}};
  for (const auto& [op, fn] : list) {
    const auto row = [&, op = op, fn = fn](const std::string& name, const Shape& a, const Shape& b,
                                           bool parameter = false) {
      cases.push_back(
          {.name = std::string(op) + "_" + name,
           .inputs = {{.shape = a}, {.shape = b, .fill = Fill::kUniform, .keep_f32 = parameter}},
           .fn = [fn](const std::vector<Variable>& x) { return std::vector{fn(x[0], x[1])}; },
           .reduction = std::max(a.numel(), b.numel()),
           .roundings = 2,
           .check_gradient = a.numel() < 1000});
    };
    row("size_0", {0, 5}, {5});
    row("scalars", {}, {});
    row("equal", {7, 31}, {7, 31});
    row("row", {3, 7, 31}, {31});
    row("column", {3, 7, 31}, {7, 1});
    row("scalar", {5, 67}, {});
    row("outer", {13, 1}, {1, 17});
    row("grow", {17}, {3, 5, 17});
    row("middle", {3, 1, 5}, {3, 4, 1});
    row("over_a_block", {2, 16411}, {2, 16411});
    row("parameter", {4, 37}, {37}, true);
  }
  cases.push_back(
      {.name = "scale",
       .inputs = {{.shape = {3, 16411}}},
       .fn = [](const std::vector<Variable>& x) { return std::vector{scale(x[0], 1.0 / 3.0)}; },
       .check_gradient = false});
  return cases;
}

CLS_OP_CASES(binary, (binary_rows()));

TEST(Binary, ShapesAndTypesAreNamed) {
  try {
    (void)ops::add(Tensor::zeros({2, 3}, Dtype::kF32), Tensor::zeros({2}, Dtype::kF32));
    FAIL();
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(), "add: cannot broadcast (2, 3) with (2)");
  }
  EXPECT_THROW((void)ops::add(Tensor::zeros({2}, Dtype::kF32), Tensor::zeros({2}, Dtype::kF64)),
               DtypeError);
}

TEST(Binary, TransposedOperandsAreReadInPlace) {
  const Tensor a = random_normal({37, 41}, "a");
  const Tensor b = random_normal({41, 37}, "b");
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
    const Tensor got = ops::mul(a.to(dtype).transpose(0, 1), b.to(dtype));
    const Tensor want = ops::mul(a.to(dtype).transpose(0, 1).contiguous(), b.to(dtype));
    expect_bits_equal(got, want, "mul");
  }
}

TEST(Accumulate, RoundsOnceAndFollowsStrides) {
  for (const Dtype total_type : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
    for (const Dtype part_type : {Dtype::kF64, Dtype::kF32, Dtype::kBf16}) {
      const Tensor part = random_normal({37, 41}, "part").to(part_type);
      Tensor whole = random_normal({41, 40}, "total").to(total_type).clone();
      Tensor total = whole.slice(1, 2, 39).transpose(0, 1);
      const Tensor before = whole.clone();
      const Tensor wide =
          ops::add(total.to(Dtype::kF64),
                   part.to(total_type == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32).to(Dtype::kF64));
      for_each_simd_target([&](std::string_view target) {
        whole.copy_from(before);
        ops::accumulate(part, total);
        expect_close(total, wide, tolerance(total_type, 1),
                     concat(part_type, " into ", total_type, " on ", target));
      });
      expect_bits_equal(whole.slice(1, 0, 2), before.slice(1, 0, 2), "left neighbours");
      expect_bits_equal(whole.slice(1, 39, 40), before.slice(1, 39, 40), "right neighbours");
    }
  }
}

}  // namespace
}  // namespace clausius::test
