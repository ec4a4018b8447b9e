// SPDX-License-Identifier: Apache-2.0
// Every knob of the softmax mixer on a CUDA device against the CPU: output, gradients, what telemetry gets, the guard.
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/layers/mixer_bench.h"
#include "tests/support/cuda_test.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

class CudaAttentionKnob : public OnCuda<::testing::TestWithParam<MixerKnob>> {};
INSTANTIATE_TEST_SUITE_P(CudaAttentionKnobs,
                         CudaAttentionKnob,
                         ::testing::ValuesIn(mixer_knobs()),
                         [](const auto& knob) { return knob.param.name; });

TEST_P(CudaAttentionKnob, EqualsTheCpu) {
  for (const Dtype compute : {Dtype::kF32, Dtype::kBf16}) {
    MixerBench host(GetParam().keys, Dtype::kF32, compute);
    host.stir();
    host.store().refresh_compute_copy();
    MixerBench device(GetParam().keys, Dtype::kF32, compute, kCuda);
    device.copy_from(host);
    host.store().allocate_gradients();
    device.store().allocate_gradients();
    const double allowed = tolerance(compute, 8, 9);
    const Tensor x = host.input(2, 5);
    const Tensor x_device = device.input(2, 5);
    expect_close(device.run(x_device, device.context(2, 5)).to(kCpu).to(Dtype::kF32),
                 host.run(x, host.context(2, 5)).to(Dtype::kF32), allowed, "y");
    const MixerGradients want = gradients_of(host, x, host.context(2, 5));
    const MixerGradients got = gradients_of(device, x_device, device.context(2, 5));
    expect_close(got.dx.to(kCpu).to(Dtype::kF32).contiguous(), want.dx.to(Dtype::kF32).contiguous(),
                 3 * allowed, "dx");
    expect_close(got.parameters.to(kCpu), want.parameters, 3 * allowed, "parameters");
  }
}

TEST_P(CudaAttentionKnob, TelemetryCountsTheSameOutcomes) {
  MixerBench host(GetParam().keys, Dtype::kF32);
  MixerBench device(GetParam().keys, Dtype::kF32, Dtype::kF32, kCuda);
  const auto outcomes = [](MixerBench& bench) {
    Telemetry telemetry;
    SequenceContext context = bench.context(2, 5);
    context.telemetry = &telemetry;
    (void)bench.run(bench.input(2, 5), context);
    return telemetry.attention().at(0).outcomes_BT.to(kCpu);
  };
  expect_bits_equal(outcomes(device), outcomes(host), "outcomes");
}

class CudaTemperature : public OnCuda<> {};

TEST_F(CudaTemperature, ARawOneBelowZeroIsFound) {
  const std::string keys = "temperature: {kind: per_head, parametrization: raw}";
  MixerBench host(keys, Dtype::kF32);
  host.set("temperature", 1, -1.0);
  MixerBench device(keys, Dtype::kF32, Dtype::kF32, kCuda);
  device.copy_from(host);
  EXPECT_THROW((void)device.run(device.input(1, 5), device.context(1, 5)), GuardError);
}

}  // namespace
}  // namespace clausius::test
