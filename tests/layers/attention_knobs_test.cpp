// SPDX-License-Identifier: Apache-2.0
// What every knob of the softmax mixer must keep: gradients, generation, packed documents, bf16, recomputation.
#include <cmath>

#include <gtest/gtest.h>

#include "tests/layers/mixer_bench.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

class AttentionKnob : public ::testing::TestWithParam<MixerKnob> {};
INSTANTIATE_TEST_SUITE_P(AttentionKnobs,
                         AttentionKnob,
                         ::testing::ValuesIn(mixer_knobs()),
                         [](const auto& knob) { return knob.param.name; });

double objective(MixerBench& bench, const Tensor& x, SequenceContext context) {
  Telemetry telemetry;
  context.telemetry = &telemetry;
  const Tensor y = bench.run(x, context).contiguous();
  double total = 0;
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    total += objective_weight(i) * y.data<double>()[i];
  }
  const Tensor entropy = telemetry.attention().at(0).entropy_BHT.value().contiguous();
  for (const double value : entropy.span<double>()) {
    total += 0.3 * value;
  }
  return total;
}

// Central differences in f64: truncation about kStep^2 times the third derivative (up to 1e3 with these weights), rounding about
// 1e-15 |objective| / kStep.
constexpr double kStep = 1e-5;
constexpr double kTolerance = 2e-7;

TEST_P(AttentionKnob, EveryGradient) {
  MixerBench bench(GetParam().keys);
  bench.stir();
  bench.store().allocate_gradients();
  Tensor x = bench.input(2, 5);
  const SequenceContext context = bench.context(2, 5);
  const MixerGradients gradients = gradients_of(bench, x, context);
  const auto check = [&](double& value, double got, const std::string& name) {
    const double saved = value;
    value = saved + kStep;
    const double high = objective(bench, x, context);
    value = saved - kStep;
    const double low = objective(bench, x, context);
    value = saved;
    EXPECT_NEAR(got, (high - low) / (2 * kStep), kTolerance * (1 + std::abs(got))) << name;
  };
  for (Parameter& parameter : bench.store().parameters()) {
    const std::int64_t stride = parameter.numel() < 20 ? 1 : 1 + parameter.numel() / 12;
    for (std::int64_t i = 0; i < parameter.numel(); i += stride) {
      check(bench.store().master().data<double>()[parameter.offset() + i],
            gradients.parameters.data<double>()[parameter.offset() + i],
            concat(parameter.path(), " element ", i));
    }
  }
  const Tensor dx = gradients.dx.contiguous();
  for (std::int64_t i = 0; i < x.numel(); i += 7) {
    check(x.data<double>()[i], dx.data<double>()[i], concat("x element ", i));
  }
}

TEST_P(AttentionKnob, PrefillAndDecodeEqualTheFullPass) {
  MixerBench bench(GetParam().keys);
  bench.stir();
  const Tensor x = bench.input(2, 6);
  const Tensor all = bench.run(x, bench.context(2, 6));
  const auto state = bench.mixer().make_state(2, 6);
  const std::vector<std::int64_t> borders = {0, 3, 4, 6};
  for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
    const std::int64_t begin = borders[i];
    const std::int64_t end = borders[i + 1];
    SequenceContext context = bench.context(2, end - begin, begin);
    context.phase = Phase::kGenerate;
    expect_close(bench.run(x.slice(1, begin, end).contiguous(), context, state.get()),
                 all.slice(1, begin, end).contiguous(), tolerance(Dtype::kF64, 6, 8),
                 concat("tokens ", begin, " to ", end));
  }
}

TEST_P(AttentionKnob, PackedDocumentsEqualTheirOwnRows) {
  MixerBench bench(GetParam().keys);
  bench.stir();
  const Tensor x = bench.input(1, 6);
  SequenceContext context = bench.context(1, 6);
  context.positions_BT = Tensor::from(std::vector<std::int32_t>{0, 1, 0, 1, 2, 3}, {1, 6});
  context.cu_seqlens = Tensor::from(std::vector<std::int32_t>{0, 2, 6}, {3});
  const Tensor packed = bench.run(x, context);
  const double allowed = tolerance(Dtype::kF64, 6, 8);
  expect_close(packed.slice(1, 0, 2).contiguous(),
               bench.run(x.slice(1, 0, 2).contiguous(), bench.context(1, 2)), allowed, "first");
  expect_close(packed.slice(1, 2, 6).contiguous(),
               bench.run(x.slice(1, 2, 6).contiguous(), bench.context(1, 4)), allowed, "second");
}

TEST_P(AttentionKnob, RecomputationIsBitEqual) {
  MixerBench bench(GetParam().keys, Dtype::kF32);
  bench.stir();
  bench.store().allocate_gradients();
  const Tensor x = bench.input(2, 5);
  const MixerGradients plain = gradients_of(bench, x, bench.context(2, 5));
  const MixerGradients again = gradients_of(bench, x, bench.context(2, 5), true);
  expect_bits_equal(again.parameters, plain.parameters, "parameters");
  expect_bits_equal(again.dx.contiguous(), plain.dx.contiguous(), "x");
}

TEST_P(AttentionKnob, Bf16FollowsF32) {
  MixerBench narrow(GetParam().keys, Dtype::kF32, Dtype::kBf16);
  MixerBench wide(GetParam().keys, Dtype::kF32);
  for (MixerBench* bench : {&narrow, &wide}) {
    // What bf16 stores is what both compute with.
    for (Parameter& parameter : bench->store().parameters()) {
      parameter.master().copy_from(parameter.master().to(Dtype::kBf16).to(Dtype::kF32));
    }
    bench->store().refresh_compute_copy();
    bench->store().allocate_gradients();
  }
  const Tensor x = narrow.input(2, 5);
  const Tensor x_wide = x.to(Dtype::kF32);
  // Roundings of a chain of products whose condition the scores, of size about 3, raise: x, qkv, norm, rope, temperature, p, y,
  // gate, out.
  const double allowed = tolerance(Dtype::kBf16, 8, 9);
  expect_close(narrow.run(x, narrow.context(2, 5)).to(Dtype::kF32),
               wide.run(x_wide, wide.context(2, 5)), allowed, "y");
  const MixerGradients got = gradients_of(narrow, x, narrow.context(2, 5));
  const MixerGradients want = gradients_of(wide, x_wide, wide.context(2, 5));
  expect_close(got.dx.to(Dtype::kF32).contiguous(), want.dx.contiguous(), 3 * allowed, "dx");
}

TEST_P(AttentionKnob, ChangesTheResult) {
  MixerBench plain("window: null");
  MixerBench with(GetParam().keys);
  with.stir();
  const Tensor x = plain.input(1, 5);
  const Tensor a = plain.run(x, plain.context(1, 5)).contiguous();
  const Tensor b = with.run(x, with.context(1, 5)).contiguous();
  double most = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    most = std::max(most, std::abs(a.data<double>()[i] - b.data<double>()[i]));
  }
  EXPECT_GT(most, 1e-3);
}

}  // namespace
}  // namespace clausius::test
