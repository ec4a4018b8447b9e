// SPDX-License-Identifier: Apache-2.0
// Gated units: case table, equality with the plain ops they fuse.
#include "core/ops/gated/gated.h"

#include <gtest/gtest.h>

#include "autograd/rules/gated.h"
#include "core/ops/binary/binary.h"
#include "core/ops/pointwise.h"
#include "tests/support/op_case.h"
#include "tests/support/random_tensor.h"

namespace clausius::test {
namespace {

constexpr std::pair<const char*, Gate> kGates[] = {{"swiglu", Gate::kSilu},
                                                   {"geglu", Gate::kGelu},
                                                   {"sglu", Gate::kIdentity},
                                                   {"glu", Gate::kSigmoid},
                                                   {"reglu", Gate::kRelu}};

std::vector<OpCase> gated_rows() {
  std::vector<OpCase> cases;
  for (const auto& [gate_name, gate] : kGates) {
    const auto add = [&, gate_name = gate_name, gate = gate](const std::string& name,
                                                             const Shape& shape, Fill fill) {
      cases.push_back(
          {.name = std::string(gate_name) + "_" + name,
           .inputs = {{.shape = shape, .fill = fill}},
           .fn = [gate](const std::vector<Variable>& x) { return std::vector{gated(x[0], gate)}; },
           .roundings = 2,
           .gradcheck = {.step = fill == Fill::kHuge ? 1e-3 : 1e-5}});
    };
    add("size_0", {0, 6}, Fill::kNormal);
    add("size_1", {1, 2}, Fill::kNormal);
    add("prime", {3, 5, 62}, Fill::kNormal);
    add("over_a_block", {3, 8230}, Fill::kNormal);
    add("huge", {4, 34}, Fill::kHuge);
  }
  return cases;
}

CLS_OP_CASES(gated, (gated_rows()));

TEST(Gated, EqualsTheOpsItFuses) {
  const Tensor x = random_normal({5, 34}, "x");
  const Tensor want = ops::mul(ops::silu(x.slice(1, 0, 17)), x.slice(1, 17, 34));
  expect_bits_equal(ops::swiglu(x), want, "swiglu");
}

TEST(Gated, OddWidthIsRefused) {
  EXPECT_THROW((void)ops::swiglu(Tensor::zeros({2, 3}, Dtype::kF32)), ShapeError);
}

}  // namespace
}  // namespace clausius::test
