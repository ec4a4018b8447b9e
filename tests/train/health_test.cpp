// SPDX-License-Identifier: Apache-2.0
// Alarms: each fires on what it is for, stays silent on a healthy run, is cleared, stops when told to, and outlives a checkpoint.
#include "train/monitor/health.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace clausius {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// One layer of heads with these normalised entropies; loss and norms of a calm run that wobbles a little.
StepReport sample(std::int64_t step, const std::vector<double>& entropies, double max_logit = 5.0) {
  StepReport report{.step = step};
  report.sampled = true;
  report.loss = 2.0 + 0.01 * std::sin(static_cast<double>(step));
  report.grad_norm = 1.0 + 0.01 * std::cos(static_cast<double>(step));
  report.update_norm = 0.1;
  for (const double entropy : entropies) {
    if (report.entropy.empty()) {
      report.entropy.emplace_back();
    }
    report.entropy[0].push_back({.entropy_nats = 3.0 * entropy,
                                 .entropy_normalized = entropy,
                                 .max_logit = max_logit,
                                 .rows = 10});
  }
  return report;
}

// Events of samples 1, 2, .. of a head with these entropies, by sample.
std::map<std::int64_t, std::string> events_of(HealthMonitor& monitor,
                                              const std::vector<double>& entropies) {
  std::map<std::int64_t, std::string> events;
  for (std::size_t i = 0; i < entropies.size(); ++i) {
    const auto step = static_cast<std::int64_t>(i) + 1;
    for (const std::string& event : monitor.judge(sample(step, {0.5, entropies[i]})).events) {
      events[step] += event + ";";
    }
  }
  return events;
}

TEST(Health, AHealthyRunIsSilent) {
  HealthMonitor monitor({});
  for (std::int64_t step = 1; step <= 500; ++step) {
    const HealthVerdict verdict = monitor.judge(sample(step, {0.06, 0.3, 0.94}));
    EXPECT_THAT(verdict.events, IsEmpty()) << step;
    EXPECT_THAT(verdict.active, IsEmpty()) << step;
    EXPECT_EQ(verdict.stop, "");
  }
}

TEST(Health, CollapseIsRaisedAfterThreeSamplesInARowAndClearedLikewise) {
  HealthMonitor monitor({});
  EXPECT_THAT(
      events_of(monitor, {0.04, 0.04, 0.5, 0.04, 0.04, 0.03, 0.04, 0.5, 0.04, 0.5, 0.5, 0.5}),
      (std::map<std::int64_t, std::string>{
          {6, "raised: collapse: layer 0 head 1: normalised entropy 0.0300 below 0.05;"},
          {12, "cleared: collapse: layer 0 head 1;"}}));
}

TEST(Health, OverloadAndLogitsHaveTheirLimits) {
  HealthMonitor monitor({.collapse_below = 0.05, .alarm_after = 1});
  EXPECT_THAT(monitor.judge(sample(1, {0.96})).active,
              ElementsAre("overload: layer 0 head 0: normalised entropy 0.9600 above 0.95"));
  EXPECT_THAT(monitor.judge(sample(2, {0.5}, 100.5)).active,
              ElementsAre("logit: layer 0 head 0: largest logit 100.50 above 100"));
  EXPECT_THAT(monitor.judge(sample(3, {0.5}, 100.0)).active, IsEmpty());
  HealthMonitor without({.logit_above = std::nullopt, .alarm_after = 1});
  EXPECT_THAT(without.judge(sample(1, {0.5}, 1e6)).active, IsEmpty());
}

TEST(Health, ASpikeStandsOutOfTheWobble) {
  HealthMonitor monitor({.alarm_after = 1});
  for (std::int64_t step = 1; step <= 60; ++step) {
    ASSERT_THAT(monitor.judge(sample(step, {})).active, IsEmpty()) << step;
  }
  StepReport spike = sample(61, {});
  spike.loss = 2.2;
  const std::vector<std::string> active = monitor.judge(spike).active;
  ASSERT_EQ(active.size(), 1U);
  EXPECT_TRUE(active[0].starts_with("spike: loss: 2.2 is ")) << active[0];
  // Not among the first samples, whose mean is nothing yet.
  HealthMonitor fresh({.alarm_after = 1});
  static_cast<void>(fresh.judge(sample(1, {})));
  static_cast<void>(fresh.judge(sample(2, {})));
  EXPECT_THAT(fresh.judge(spike).active, IsEmpty());
}

TEST(Health, ASinkIsMassOnTheFirstToken) {
  HealthMonitor monitor({.sink_above = 0.9, .alarm_after = 2});
  const auto mass = [](std::int64_t step, double value) {
    StepReport report = sample(step, {0.5});
    report.entropy[0][0].sink_mass = value;
    return report;
  };
  EXPECT_THAT(monitor.judge(mass(1, 0.95)).active, IsEmpty());
  EXPECT_THAT(monitor.judge(mass(2, 0.96)).active,
              ElementsAre("sink: layer 0 head 0: mass 0.9600 on the first token above 0.9"));
  EXPECT_THAT(monitor.judge(mass(3, 0.5)).events, IsEmpty());
  EXPECT_THAT(monitor.judge(mass(4, 0.5)).events, ElementsAre("cleared: sink: layer 0 head 0"));
  for (std::int64_t step = 5; step < 15; ++step) {
    EXPECT_THAT(monitor.judge(mass(step, 0.9)).active, IsEmpty());
    EXPECT_THAT(monitor.judge(sample(step, {0.5})).active, IsEmpty()) << "not observed";
  }
  HealthMonitor without({.sink_above = std::nullopt, .alarm_after = 1});
  EXPECT_THAT(without.judge(mass(1, 1.0)).active, IsEmpty());
}

// Steps that are not sampled have no heads to judge, and are no samples in a row.
TEST(Health, HeadsAreJudgedWhereTheyAreSampled) {
  HealthMonitor monitor({.alarm_after = 2});
  EXPECT_EQ(monitor.judge(sample(1, {0.01, 0.02, 0.5})).collapsed, 2);
  StepReport between = sample(2, {});
  between.sampled = false;
  EXPECT_THAT(monitor.judge(between).bands, IsEmpty());
  EXPECT_EQ(monitor.judge(sample(3, {0.01, 0.02, 0.5})).active.size(), 2U);
}

// One value far out is not an alarm, and does not make the next one look usual.
TEST(Health, SpikesInARowAreCountedStepByStep) {
  HealthMonitor monitor({.alarm_after = 3});
  const auto step = [&](std::int64_t number, double loss) {
    StepReport report = sample(number, {});
    report.sampled = false;
    report.loss = loss;
    return monitor.judge(report);
  };
  for (std::int64_t number = 1; number <= 40; ++number) {
    static_cast<void>(step(number, 2.0 + 0.01 * static_cast<double>(number % 3)));
  }
  EXPECT_EQ(monitor.spike_in(2.01, 1.0), "");
  EXPECT_THAT(monitor.spike_in(3.0, 1.0), ::testing::StartsWith("spike: loss: 3 is "));
  EXPECT_THAT(monitor.spike_in(2.0, 9.0), ::testing::StartsWith("spike: gradient norm: 9 is "));
  EXPECT_THAT(step(41, 3.0).events, IsEmpty());
  EXPECT_THAT(step(42, 2.0).events, IsEmpty());
  EXPECT_THAT(step(43, 3.0).events, IsEmpty());
  EXPECT_THAT(step(44, 3.0).events, IsEmpty());
  EXPECT_EQ(step(45, 3.0).events.size(), 1U);
  // A new level becomes usual: the alarm ends by itself.
  std::size_t cleared = 0;
  for (std::int64_t number = 46; number <= 80; ++number) {
    cleared += step(number, 3.0 + 0.01 * static_cast<double>(number % 3)).events.size();
  }
  EXPECT_EQ(cleared, 1U);
  EXPECT_EQ(monitor.spike_in(3.0, 1.0), "");
}

TEST(Health, RollbackNamesTheFirstStepOfTheCondition) {
  HealthMonitor monitor({.alarm_after = 3, .on_alarm = AlarmPolicy::kRollback});
  EXPECT_EQ(monitor.judge(sample(10, {0.01})).rollback, "");
  EXPECT_EQ(monitor.judge(sample(20, {0.5, 0.99})).rollback, "");
  EXPECT_EQ(monitor.judge(sample(30, {0.01, 0.99})).rollback, "");
  HealthVerdict verdict = monitor.judge(sample(40, {0.01, 0.99}));
  EXPECT_EQ(verdict.rollback, "overload: layer 0 head 1: normalised entropy 0.9900 above 0.95");
  EXPECT_EQ(verdict.rollback_before, 20);
  EXPECT_EQ(verdict.stop, "");
  verdict = monitor.judge(sample(50, {0.01, 0.99}));
  EXPECT_THAT(verdict.rollback, ::testing::StartsWith("collapse"));
  EXPECT_EQ(verdict.rollback_before, 30);
  EXPECT_EQ(monitor.judge(sample(60, {0.01, 0.99})).rollback, "") << "it is raised already";
}

TEST(Health, TemperaturesAreRaisedUntilTheHeadRecovers) {
  HealthMonitor monitor({.alarm_after = 2,
                         .on_alarm = std::map<Alarm, AlarmPolicy>{
                             {Alarm::kCollapse, AlarmPolicy::kRaiseTemperature}}});
  std::vector<std::int64_t> raised;
  for (std::int64_t step = 1; step <= 10; ++step) {
    const HealthVerdict verdict = monitor.judge(sample(step, {0.5, step <= 7 ? 0.01 : 0.5}));
    if (!verdict.warmer.empty()) {
      EXPECT_THAT(verdict.warmer, ElementsAre(HeadPlace{0, 1}));
      raised.push_back(step);
    }
  }
  EXPECT_THAT(raised, ElementsAre(2, 4, 6));
}

TEST(Health, PoliciesAreByAlarm) {
  HealthMonitor all({.alarm_after = 1, .on_alarm = AlarmPolicy::kStop});
  EXPECT_EQ(all.judge(sample(1, {0.01})).stop,
            "collapse: layer 0 head 0: normalised entropy 0.0100 below 0.05");
  HealthMonitor named(
      {.alarm_after = 1,
       .on_alarm = std::map<Alarm, AlarmPolicy>{{Alarm::kLogit, AlarmPolicy::kStop}}});
  EXPECT_EQ(named.judge(sample(1, {0.01})).stop, "");
  EXPECT_EQ(named.judge(sample(2, {0.5}, 200.0)).stop,
            "logit: layer 0 head 0: largest logit 200.00 above 100");
  // What is not finite stops unless it is named.
  EXPECT_EQ(HealthMonitor({}).policy(Alarm::kNonfinite), AlarmPolicy::kStop);
  EXPECT_EQ(named.policy(Alarm::kNonfinite), AlarmPolicy::kStop);
  EXPECT_EQ(named.policy(Alarm::kCollapse), AlarmPolicy::kLog);
}

TEST(Health, BandsAreSharesOfTheHeads) {
  const StepReport report = sample(1, {0.1, 0.25, 0.3, 0.8});
  EXPECT_THAT(HealthMonitor({}).judge(report).bands,
              ElementsAre(DoubleEq(0.25), DoubleEq(0.5), DoubleEq(0.0), DoubleEq(0.25)));
  // Of the largest head: 1/8, 5/16, 3/8, 1.
  EXPECT_THAT(HealthMonitor({.band_reference = BandReference::kObserved}).judge(report).bands,
              ElementsAre(DoubleEq(0.25), DoubleEq(0.5), DoubleEq(0.0), DoubleEq(0.25)));
  EXPECT_THAT(HealthMonitor({.bands = {0.2}}).judge(report).bands,
              ElementsAre(DoubleEq(0.25), DoubleEq(0.75)));
  EXPECT_THAT(HealthMonitor({}).judge(sample(1, {})).bands, IsEmpty());
}

// A monitor that takes up another's state says the same from there on, at any sample.
TEST(Health, StateIsAllThereIsToRemember) {
  const auto entropy = [](std::int64_t step) { return step % 11 < 5 ? 0.01 : 0.6; };
  for (std::int64_t stop = 1; stop <= 40; ++stop) {
    HealthMonitor straight({});
    HealthMonitor first({});
    for (std::int64_t step = 1; step <= stop; ++step) {
      static_cast<void>(straight.judge(sample(step, {entropy(step)})));
      static_cast<void>(first.judge(sample(step, {entropy(step)})));
    }
    HealthMonitor second({});
    second.restore(first.state());
    EXPECT_EQ(second.state(), first.state());
    for (std::int64_t step = stop + 1; step <= 60; ++step) {
      StepReport report = sample(step, {entropy(step)});
      report.loss += step == 50 ? 5.0 : 0.0;
      const HealthVerdict want = straight.judge(report);
      const HealthVerdict got = second.judge(report);
      ASSERT_EQ(got.active, want.active) << stop << ", " << step;
      ASSERT_EQ(got.events, want.events) << stop << ", " << step;
    }
  }
  EXPECT_THROW(HealthMonitor({}).restore("{}"), DataError);
}

}  // namespace
}  // namespace clausius
