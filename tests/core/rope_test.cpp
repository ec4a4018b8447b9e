// SPDX-License-Identifier: Apache-2.0
// rope: case table, rotation properties, views in place, positions outside the table.
#include "core/ops/rope/rope.h"

#include <cmath>

#include <gtest/gtest.h>

#include "autograd/rules/rope.h"
#include "autograd/rules/views.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

Tensor positions(std::int64_t batch, std::int64_t length, std::int32_t first) {
  Tensor p = Tensor::empty({batch, length}, Dtype::kI32);
  for (std::int64_t i = 0; i < p.numel(); ++i) {
    p.data<std::int32_t>()[i] = first + static_cast<std::int32_t>(i % length);
  }
  return p;
}

std::vector<OpCase> rope_rows() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, const Shape& shape, std::int64_t position_rows,
                       Fill fill) {
    const Tensor at = positions(position_rows, shape[1], 3);
    const ops::RopeTable table = ops::make_rope_table(600, shape[3], 10000.0);
    cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .fill = fill}},
         .fn = [at, table](
                   const std::vector<Variable>& x) { return std::vector{rope(x[0], at, table)}; },
         .roundings = 2,
         .check_gradient = shape.numel() < 5000,
         .gradcheck = {.step = fill == Fill::kHuge ? 1e-2 : 1e-5}});
  };
  add("size_0", {0, 3, 2, 4}, 0, Fill::kNormal);
  add("one_pair", {1, 1, 1, 2}, 1, Fill::kNormal);
  add("prime_half", {2, 5, 3, 14}, 2, Fill::kNormal);
  add("shared_positions", {3, 7, 2, 32}, 1, Fill::kNormal);
  add("wide_head", {1, 11, 2, 130}, 1, Fill::kNormal);
  add("long", {1, 513, 1, 64}, 1, Fill::kNormal);
  add("huge", {1, 3, 2, 16}, 1, Fill::kHuge);
  return cases;
}

CLS_OP_CASES(rope, (rope_rows()));

TEST(Rope, KnownAngles) {
  const ops::RopeTable table = ops::make_rope_table(4, 4, 100.0);
  const Tensor x = Tensor::from(std::vector<float>{1, 0, 0, 2}, {1, 1, 1, 4});
  const Tensor y = ops::rope(x, Tensor::from(std::vector<std::int32_t>{3}, {1, 1}), table);
  EXPECT_NEAR(y.span<float>()[0], std::cos(3.0), 1e-6);
  EXPECT_NEAR(y.span<float>()[2], std::sin(3.0), 1e-6);
  EXPECT_NEAR(y.span<float>()[1], -2 * std::sin(0.3), 1e-6);
  EXPECT_NEAR(y.span<float>()[3], 2 * std::cos(0.3), 1e-6);
}

TEST(Rope, InPlaceOnAFusedProjectionEqualsACopy) {
  const ops::RopeTable table = ops::make_rope_table(64, 16, 10000.0);
  const Tensor at = positions(2, 9, 0);
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16, Dtype::kF64}) {
    // q, k and v of three heads side by side.
    Tensor fused = random_normal({2, 9, 9, 16}, "fused").to(dtype).clone();
    const Tensor before = fused.clone();
    Tensor q = fused.slice(2, 0, 3);
    const Tensor want = ops::rope(q.clone(), at, table);
    ops::rope_into(q, at, table, q);
    expect_bits_equal(q, want, "q");
    expect_bits_equal(fused.slice(2, 3, 9), before.slice(2, 3, 9), "k and v");
  }
}

TEST(Rope, GradientsOfASplitAreWrittenInPlace) {
  const ops::RopeTable table = ops::make_rope_table(64, 8, 10000.0);
  const Tensor at = positions(1, 5, 2);
  const DifferentiableFn fn = [&](const std::vector<Variable>& x) {
    const std::vector<std::int64_t> sizes{2, 1, 1};
    std::vector<Variable> parts = split(x[0], 2, sizes);
    return std::vector{rope(parts[0], at, table), rope(parts[1], at, table), parts[2]};
  };
  EXPECT_EQ(gradcheck(fn, {random_normal({1, 5, 4, 8}, "x")}), "");
}

TEST(Rope, PositionsOutsideTheTableAreNamed) {
  const ops::RopeTable table = ops::make_rope_table(8, 4, 10000.0);
  try {
    (void)ops::rope(Tensor::zeros({1, 3, 1, 4}, Dtype::kF32), positions(1, 3, 6), table);
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("position 8 of row 0, token 2"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW((void)ops::make_rope_table(8, 5, 10000.0), ShapeError);
}

}  // namespace
}  // namespace clausius::test
