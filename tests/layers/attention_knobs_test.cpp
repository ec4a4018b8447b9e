// SPDX-License-Identifier: Apache-2.0
// What every knob of the softmax mixer must keep: gradients, generation, packed documents, bf16, recomputation.
#include <cmath>

#include <gtest/gtest.h>

#include "autograd/recompute.h"
#include "autograd/tape.h"
#include "tests/layers/mixer_bench.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

struct Knob {
  std::string name;
  std::string keys;
};

void PrintTo(const Knob& knob, std::ostream* out) {  // NOLINT: GoogleTest's name
  *out << knob.name;
}

std::vector<Knob> knobs() {
  return {
      {"softcap", "logit_softcap: 1.5"},
      {"sink", "sink: learned"},
      {"temperature", "temperature: per_head"},
      {"raw_temperature", "temperature: {kind: per_head, parametrization: raw}"},
      {"temperature_table", "temperature: {kind: per_head_position, init: 0.5}"},
      {"qk_rms_norm", "qk_norm: rms_norm"},
      {"qk_l2_norm", "qk_norm: l2_norm"},
      {"qk_l2_norm_and_temperature", "qk_norm: l2_norm\ntemperature: per_head"},
      {"linear_gate", "output_gate: linear"},
      {"silu_gate", "output_gate: silu"},
      {"sigmoid_gate", "output_gate: sigmoid"},
      {"low_rank_gate", "output_gate: {kind: sigmoid_low_rank, rank: 3}"},
      {"all",
       "logit_softcap: 1.5\nsink: learned\nqk_norm: l2_norm\noutput_gate: sigmoid\n"
       "temperature: {kind: per_head_position, init: 0.5}"},
  };
}

class AttentionKnob : public ::testing::TestWithParam<Knob> {};
INSTANTIATE_TEST_SUITE_P(AttentionKnobs,
                         AttentionKnob,
                         ::testing::ValuesIn(knobs()),
                         [](const auto& knob) { return knob.param.name; });

// Weights of the objective: one for each element of y, 0.3 for each entropy.
double weight_of(std::int64_t i) {
  return std::cos(0.7 * static_cast<double>(i));
}

Tensor weights_like(const Tensor& y) {
  Tensor weights = Tensor::empty(y.shape(), Dtype::kF64);
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    weights.data<double>()[i] = weight_of(i);
  }
  return weights.to(y.dtype());
}

double objective(MixerBench& bench, const Tensor& x, SequenceContext context) {
  Telemetry telemetry;
  context.telemetry = &telemetry;
  const Tensor y = bench.run(x, context).contiguous();
  double total = 0;
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    total += weight_of(i) * y.data<double>()[i];
  }
  const Tensor entropy = telemetry.attention().at(0).entropy_BHT.value().contiguous();
  for (const double value : entropy.span<double>()) {
    total += 0.3 * value;
  }
  return total;
}

struct MixerGradients {
  Tensor dx;
  Tensor parameters;
};

MixerGradients gradients_of(MixerBench& bench,
                            const Tensor& x,
                            SequenceContext context,
                            bool again = false) {
  ParameterStore& store = bench.store();
  store.begin_step();
  Tape tape;
  const ParameterStore::Bind bind(store, &tape);
  const Variable input = tape.watch(x);
  const BlockFn block = [&](std::span<const Variable> inputs, bool /*second*/) {
    Telemetry telemetry;
    SequenceContext own = context;
    own.telemetry = &telemetry;
    const Variable y = bench.mixer().forward(inputs[0], own, nullptr);
    return std::vector<Variable>{y, telemetry.attention().at(0).entropy_BHT};
  };
  std::vector<Parameter*> parameters;
  for (Parameter& parameter : store.parameters()) {
    parameters.push_back(&parameter);
  }
  const std::vector<Variable> out =
      again ? recompute(store, parameters, {&input, 1}, block) : block({&input, 1}, false);
  const std::vector<Tape::Seed> seeds = {
      {out[0], weights_like(out[0].value())},
      {out[1], Tensor::full(out[1].shape(), 0.3, out[1].dtype())}};
  tape.backward(seeds);
  return {tape.gradient(input), store.gradients().clone()};
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
