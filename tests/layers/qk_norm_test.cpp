// SPDX-License-Identifier: Apache-2.0
// Normalised queries and keys: bounded scores, the size of weights without effect, and both forms equal at the start.
#include <cmath>

#include <gtest/gtest.h>

#include "tests/layers/mixer_bench.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

constexpr std::int64_t kHeadDim = kMixerDim / 2;
constexpr double kRounding = 1 + 1e-12;

Tensor result_of(MixerBench& bench) {
  return bench.run(bench.input(2, 5), bench.context(2, 5));
}

double largest_logit(MixerBench& bench, std::int64_t head) {
  Telemetry telemetry;
  SequenceContext context = bench.context(2, 5);
  context.telemetry = &telemetry;
  (void)bench.run(bench.input(2, 5), context);
  const Tensor logits = telemetry.attention().at(0).max_logit_BH.select(1, head);
  return std::max(logits.select(0, 0).item(), logits.select(0, 1).item());
}

// Rows of q and k, not of v: there are two query heads and one key head.
void grow_q_and_k(MixerBench& bench, double factor) {
  Tensor weight = bench.store().find("mixer.qkv.weight")->master();
  for (std::int64_t i = 0; i < 3 * kHeadDim * kMixerDim; ++i) {
    weight.data<double>()[i] *= factor;
  }
}

TEST(QkNorm, BoundsTheScores) {
  MixerBench plain("window: null");
  MixerBench rms("qk_norm: rms_norm");
  MixerBench l2("qk_norm: l2_norm");
  for (MixerBench* bench : {&plain, &rms, &l2}) {
    bench->stir();
    grow_q_and_k(*bench, 100);
  }
  const auto largest_gain = [&rms](const char* name) {
    double most = 0;
    for (const double value : rms.store().find(name)->master().span<double>()) {
      most = std::max(most, std::abs(value));
    }
    return most;
  };
  const double bound = std::sqrt(static_cast<double>(kHeadDim)) *
                       largest_gain("mixer.q_norm.gain") * largest_gain("mixer.k_norm.gain");
  for (std::int64_t h = 0; h < 2; ++h) {
    EXPECT_GT(largest_logit(plain, h), 10 * bound);
    EXPECT_LE(largest_logit(rms, h), bound * kRounding);
    EXPECT_LE(largest_logit(l2, h),
              l2.store().find("mixer.qk_scale")->master().select(0, h).item() * kRounding);
  }
}

TEST(QkNorm, TheSizeOfTheWeightsHasNoEffect) {
  for (const char* kind : {"rms_norm", "l2_norm"}) {
    const std::string keys = concat("qk_norm: {kind: ", kind, ", eps: 1.0e-300}");
    MixerBench bench(keys);
    MixerBench grown(keys);
    grow_q_and_k(grown, 1e3);
    expect_close(result_of(grown), result_of(bench), tolerance(Dtype::kF64, 8, 12), kind);
  }
}

TEST(QkNorm, BothFormsStartAsTheSame) {
  MixerBench rms("qk_norm: {kind: rms_norm, eps: 0.25}");
  MixerBench l2(
      "qk_norm: {kind: l2_norm, eps: 1.0}");  // beside a sum of four squares, not their mean
  expect_close(result_of(l2), result_of(rms), tolerance(Dtype::kF64, 8, 12), "y");
}

TEST(QkNorm, GainsAndScalesMultiplyScores) {
  const std::string rms_norm = "qk_norm: {kind: rms_norm, eps: 1.0e-300}\n";
  const std::string l2_norm = "qk_norm: {kind: l2_norm, eps: 1.0e-300}\n";
  MixerBench rms(rms_norm);
  rms.set_all("q_norm.gain", 1.5);
  rms.set_all("k_norm.gain", 2.0);
  MixerBench cooled(rms_norm + "temperature: per_head");
  cooled.set_all("log_temperature", -std::log(3.0));
  MixerBench l2(l2_norm);
  l2.set_all("qk_scale", 3.0 * std::sqrt(static_cast<double>(kHeadDim)));
  MixerBench halved(l2_norm + "temperature: per_head\nsoftmax_scale: 0.5");
  halved.set_all("log_temperature", -std::log(6.0));
  const Tensor want = result_of(rms);
  const double allowed = tolerance(Dtype::kF64, 8, 12);
  expect_close(result_of(cooled), want, allowed, "a temperature of 1/3");
  expect_close(result_of(l2), want, allowed, "l2_norm with three times its scale");
  expect_close(result_of(halved), want, allowed, "l2_norm, half the scale, a temperature of 1/6");
}

TEST(QkNorm, ParametersStartWithTheirRoles) {
  MixerBench rms("qk_norm: rms_norm");
  for (const char* name : {"mixer.q_norm.gain", "mixer.k_norm.gain"}) {
    const Parameter* gain = rms.store().find(name);
    ASSERT_NE(gain, nullptr);
    EXPECT_EQ(gain->role(), Role::kGain);
    expect_bits_equal(gain->master(), Tensor::full({kHeadDim}, 1.0, Dtype::kF64), name);
  }
  MixerBench l2("qk_norm: l2_norm");
  const Parameter* scale = l2.store().find("mixer.qk_scale");
  ASSERT_NE(scale, nullptr);
  EXPECT_EQ(scale->role(), Role::kScale);
  expect_bits_equal(scale->master(), Tensor::full({2}, 2.0, Dtype::kF64), "qk_scale");
}

}  // namespace
}  // namespace clausius::test
