// SPDX-License-Identifier: Apache-2.0
// Learned temperatures of the softmax mixer: 1 changes nothing, each one divides its own scores, and what cannot be is an error.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/layers/mixer_bench.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

constexpr const char* kPlain = "window: null";
constexpr const char* kPerHead = "temperature: per_head";
constexpr const char* kPerPosition = "temperature: per_head_position";

Tensor result_of(MixerBench& bench) {
  return bench.run(bench.input(2, 5), bench.context(2, 5));
}

Tensor entropy_of(MixerBench& bench) {
  Telemetry telemetry;
  SequenceContext context = bench.context(2, 5);
  context.telemetry = &telemetry;
  (void)bench.run(bench.input(2, 5), context);
  return telemetry.attention().at(0).entropy_BHT.value();
}

TEST(Temperature, OneIsPlainAttentionBitForBit) {
  for (const Dtype master : {Dtype::kF64, Dtype::kF32}) {
    MixerBench plain(kPlain, master);
    const Tensor want = result_of(plain);
    for (const char* kind : {"per_head", "per_head_position"}) {
      for (const char* parametrization : {"exp", "raw"}) {
        MixerBench bench(
            concat("temperature: {kind: ", kind, ", parametrization: ", parametrization, "}"),
            master);
        expect_bits_equal(result_of(bench), want, concat(kind, " ", parametrization));
      }
    }
  }
}

TEST(Temperature, StartsAtInitWithItsRole) {
  MixerBench exp("temperature: {kind: per_head_position, init: 0.1}");
  const Parameter* rho = exp.store().find("mixer.log_temperature");
  ASSERT_NE(rho, nullptr);
  EXPECT_EQ(rho->role(), Role::kTemperature);
  EXPECT_EQ(rho->shape(), (Shape{kMixerContext, 2}));
  EXPECT_EQ(rho->master().select(0, 5).select(0, 1).item(), std::log(0.1));
  MixerBench raw("temperature: {kind: per_head, init: 0.1, parametrization: raw}");
  const Parameter* t = raw.store().find("mixer.temperature");
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->shape(), (Shape{2}));
  EXPECT_EQ(t->master().select(0, 1).item(), 0.1);
}

TEST(Temperature, RaisingOneHeadWarmsItAndNoOther) {
  for (const char* kind : {"per_head", "per_head_position"}) {
    for (const char* parametrization : {"exp", "raw"}) {
      const std::string knobs = concat("temperature: {kind: ", kind,
                                       ", init: 0.5, parametrization: ", parametrization, "}");
      MixerBench before(knobs);
      MixerBench after(knobs);
      EXPECT_TRUE(after.mixer().raise_temperature(1, 3.0));
      MixerBench want(concat("temperature: {kind: ", kind,
                             ", init: 1.5, parametrization: ", parametrization, "}"));
      const Tensor cold = entropy_of(before);
      const Tensor warm = entropy_of(after);
      expect_bits_equal(warm.select(1, 0).contiguous(), cold.select(1, 0).contiguous(), "head 0");
      expect_close(warm.select(1, 1).contiguous(), entropy_of(want).select(1, 1).contiguous(),
                   1e-13, knobs);
    }
  }
  MixerBench plain(kPlain);
  EXPECT_FALSE(plain.mixer().raise_temperature(0, 3.0));
}

TEST(Temperature, OfAHeadDividesItsQueries) {
  MixerBench bench(kPerHead);
  MixerBench divided(kPlain);
  const std::vector<double> t = {0.6, 1.7};
  Tensor weight = divided.store().find("mixer.qkv.weight")->master();
  for (std::int64_t h = 0; h < 2; ++h) {
    bench.set("log_temperature", h, std::log(t[static_cast<std::size_t>(h)]));
    for (std::int64_t i = h * 4 * kMixerDim; i < (h + 1) * 4 * kMixerDim; ++i) {
      weight.data<double>()[i] /= t[static_cast<std::size_t>(h)];
    }
  }
  expect_close(result_of(bench), result_of(divided), tolerance(Dtype::kF64, 8, 8), "y");
}

TEST(Temperature, OfAPositionIsItsOwn) {
  MixerBench table(kPerPosition);
  MixerBench head(kPerHead);
  const Tensor x = table.input(2, 5);
  for (std::int64_t i = 0; i < kMixerContext * 2; ++i) {
    table.set("log_temperature", i, 0.4 * std::sin(static_cast<double>(i)));
  }
  const Tensor all = table.run(x, table.context(2, 5));
  for (std::int64_t t = 0; t < 5; ++t) {
    for (std::int64_t h = 0; h < 2; ++h) {
      head.set("log_temperature", h, 0.4 * std::sin(static_cast<double>(2 * t + h)));
    }
    expect_close(all.select(1, t).contiguous(),
                 head.run(x, head.context(2, 5)).select(1, t).contiguous(),
                 tolerance(Dtype::kF64, 8, 8), concat("position ", t));
  }
}

TEST(Temperature, RaisesEntropy) {
  MixerBench bench(kPerHead);
  Tensor before = entropy_of(bench).clone();
  for (const double t : {2.0, 5.0, 1e9}) {
    bench.set_all("log_temperature", std::log(t));
    const Tensor after = entropy_of(bench).clone();
    for (std::int64_t i = 0; i < after.numel(); ++i) {
      // Rows of one key stay at 0.
      if (i % 5 == 0) {
        EXPECT_NEAR(after.data<double>()[i], 0.0, 1e-12);
      } else {
        EXPECT_GT(after.data<double>()[i], before.data<double>()[i]);
      }
    }
    before = after;
  }
  // Without end the rows become even: ln i; the scores that are left are below 1e-7.
  for (std::int64_t i = 0; i < before.numel(); ++i) {
    EXPECT_NEAR(before.data<double>()[i], std::log(static_cast<double>(i % 5 + 1)), 1e-12);
  }
  // The mean of a head is then ln(T!) / T: what the regularizer calls the causal maximum.
  double sum = 0;
  for (std::int64_t i = 0; i < 5; ++i) {
    sum += before.data<double>()[i];
  }
  EXPECT_NEAR(sum / 5, std::lgamma(6.0) / 5, 1e-12);
}

// Scores without ties: one key takes all.
TEST(Temperature, NearZeroLeavesNoEntropy) {
  MixerBench bench(kPerHead);
  bench.set_all("log_temperature", std::log(1e-9));
  const Tensor entropy = entropy_of(bench).clone();
  for (const double value : entropy.span<double>()) {
    EXPECT_EQ(value, 0.0);
  }
}

std::string message_of(MixerBench& bench, std::int64_t length) {
  try {
    (void)bench.run(bench.input(1, length), bench.context(1, length));
    return "no error";
  } catch (const GuardError& error) {
    return concat("guard: ", error.what());
  } catch (const ConfigError& error) {
    return concat("config: ", error.what());
  }
}

TEST(Temperature, ARawOneThatReachesZeroNamesLayerAndHead) {
  MixerBench bench("temperature: {kind: per_head, parametrization: raw}");
  EXPECT_EQ(message_of(bench, 5), "no error");
  for (const double bad : {0.0, -0.5, std::nan("")}) {
    bench.set("temperature", 1, bad);
    EXPECT_THAT(message_of(bench, 5),
                testing::StartsWith("guard: layer 3, head 1: the raw temperature is "));
  }
  MixerBench table("temperature: {kind: per_head_position, parametrization: raw}");
  table.set("temperature", 5, -1.0);
  EXPECT_THAT(message_of(table, 5),
              testing::StartsWith("guard: layer 3, head 1, position 2: the raw temperature is -1"));
}

TEST(Temperature, EndsWithTheTrainedContext) {
  MixerBench bench(kPerPosition);
  EXPECT_EQ(message_of(bench, 6), "no error");
  EXPECT_EQ(message_of(bench, 7),
            "config: layer 3: temperatures per position end at 6 (model.context_length), not at 7 "
            "tokens");
  MixerBench head(kPerHead);
  EXPECT_EQ(message_of(head, 7), "no error");
  const auto state = bench.mixer().make_state(1, 8);
  (void)bench.run(bench.input(1, 6), bench.context(1, 6), state.get());
  EXPECT_THROW((void)bench.run(bench.input(1, 1), bench.context(1, 1, 6), state.get()),
               ConfigError);
}

}  // namespace
}  // namespace clausius::test
