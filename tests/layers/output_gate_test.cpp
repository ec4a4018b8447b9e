// SPDX-License-Identifier: Apache-2.0
// Output gates of the softmax mixer against their definitions: a gate that is one, half, or a product of two matrices.
#include <gtest/gtest.h>

#include "core/ops/matmul/matmul.h"
#include "core/ops/scale/scale.h"
#include "tests/layers/mixer_bench.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

Tensor result_of(MixerBench& bench) {
  return bench.run(bench.input(2, 5), bench.context(2, 5));
}

TEST(OutputGate, ASigmoidOfNothingIsOneHalf) {
  MixerBench plain("output_gate: none");
  MixerBench gated("output_gate: sigmoid");
  gated.set_all("gate.weight", 0.0);
  expect_close(result_of(gated), ops::scale(result_of(plain), 0.5), tolerance(Dtype::kF64, 8, 2),
               "y");
}

TEST(OutputGate, SiluAndLinearOfNothingClose) {
  for (const char* kind : {"silu", "linear"}) {
    MixerBench gated(concat("output_gate: ", kind));
    gated.set_all("gate.weight", 0.0);
    for (const double value : result_of(gated).contiguous().span<double>()) {
      EXPECT_EQ(value, 0.0) << kind;
    }
  }
}

TEST(OutputGate, ALowRankGateIsTheGateOfItsProduct) {
  MixerBench low("output_gate: {kind: sigmoid_low_rank, rank: 3}");
  MixerBench full("output_gate: sigmoid");
  ParameterStore& store = low.store();
  const Tensor down_RM = store.find("mixer.gate_down.weight")->master();
  const Tensor up_FR = store.find("mixer.gate_up.weight")->master();
  EXPECT_EQ(down_RM.shape(), (Shape{3, kMixerDim}));
  full.store().find("mixer.gate.weight")->master().copy_from(ops::matmul(up_FR, down_RM));
  expect_close(result_of(low), result_of(full), tolerance(Dtype::kF64, 8, 8), "y");
}

TEST(OutputGate, IsAMatrixWithoutBias) {
  MixerBench bench("output_gate: sigmoid\nbias: true");
  ASSERT_NE(bench.store().find("mixer.gate.weight"), nullptr);
  EXPECT_EQ(bench.store().find("mixer.gate.weight")->role(), Role::kMatrix);
  EXPECT_EQ(bench.store().find("mixer.gate.bias"), nullptr);
  EXPECT_NE(bench.store().find("mixer.out.bias"), nullptr);
}

}  // namespace
}  // namespace clausius::test
