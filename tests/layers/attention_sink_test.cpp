// SPDX-License-Identifier: Apache-2.0
// Soft-cap and learned sink of the softmax mixer: their limits are plain attention, and telemetry counts the sink as an outcome.
#include <cmath>

#include <gtest/gtest.h>

#include "tests/layers/mixer_bench.h"
#include "tests/support/op_case.h"

namespace clausius::test {
namespace {

AttentionObservation observe(MixerBench& bench) {
  Telemetry telemetry;
  SequenceContext context = bench.context(2, 5);
  context.telemetry = &telemetry;
  (void)bench.run(bench.input(2, 5), context);
  return telemetry.attention().at(0);
}

TEST(LogitSoftcap, AHugeCapIsNoCap) {
  MixerBench plain("window: null");
  MixerBench capped("logit_softcap: 1.0e6");
  const Tensor x = plain.input(2, 5);
  // cap tanh(s / cap) carries the rounding of a number of the size of the cap, and differs from s by s^3 / (3 cap^2), s below 30.
  const double allowed = 1e6 * tolerance(Dtype::kF64, 1, 2) + std::pow(30.0, 3) / 3e12;
  expect_close(capped.run(x, capped.context(2, 5)), plain.run(x, plain.context(2, 5)), allowed,
               "y");
}

TEST(LogitSoftcap, TheLargestLogitIsReportedRaw) {
  MixerBench plain("window: null");
  MixerBench capped("logit_softcap: 0.5");
  const Tensor raw = observe(plain).max_logit_BH;
  expect_bits_equal(observe(capped).max_logit_BH, raw, "largest logits");
  EXPECT_GT(raw.select(0, 0).select(0, 0).item(), 0.5);
}

TEST(AttentionSink, ALogitFarBelowIsNoSink) {
  MixerBench plain("window: null");
  MixerBench sink("sink: learned");
  sink.set_all("sink", -1e4);
  const Tensor x = plain.input(2, 5);
  expect_bits_equal(sink.run(x, sink.context(2, 5)), plain.run(x, plain.context(2, 5)), "y");
}

TEST(AttentionSink, StartsAtZeroWithoutDecay) {
  MixerBench bench("sink: learned");
  const Parameter* sink = bench.store().find("mixer.sink");
  ASSERT_NE(sink, nullptr);
  EXPECT_EQ(sink->role(), Role::kBias);
  expect_bits_equal(sink->master(), Tensor::zeros({2}, Dtype::kF64), "sink");
}

TEST(AttentionSink, IsOneOutcomeOfEveryRow) {
  MixerBench plain("window: null");
  MixerBench sink("sink: learned");
  const AttentionObservation without = observe(plain);
  const AttentionObservation with = observe(sink);
  expect_bits_equal(with.max_logit_BH, without.max_logit_BH, "largest logits");
  for (std::int64_t t = 0; t < 5; ++t) {
    EXPECT_EQ(without.outcomes_BT.select(0, 1).select(0, t).item(), static_cast<double>(t + 1));
    EXPECT_EQ(with.outcomes_BT.select(0, 1).select(0, t).item(), static_cast<double>(t + 2));
    const double entropy = with.entropy_BHT.value().select(0, 1).select(0, 0).select(0, t).item();
    EXPECT_GT(entropy, 0.0);  // the first row too: one key and the sink
    EXPECT_LE(entropy, std::log(static_cast<double>(t + 2)) * (1 + 1e-12));
  }
}

}  // namespace
}  // namespace clausius::test
