// SPDX-License-Identifier: Apache-2.0
// What monitor.observe makes of a step: norms by layer, activations without padding, spectral norms, names, and not a bit of change.
#include "train/monitor/observation.h"

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/linear_algebra/leading_singular.h"
#include "core/parallel.h"
#include "tests/support/op_case.h"
#include "tests/support/toy_parameters.h"
#include "tests/train/fake_communicator.h"
#include "tests/train/tiny_model.h"
#include "train/buckets.h"

namespace clausius {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string text_of(const std::vector<FlatRange>& ranges) {
  std::string text;
  for (const FlatRange& range : ranges) {
    text += concat(range.begin, "-", range.end, " ");
  }
  return text;
}

TEST(LayerNorms, OwnedRangesAreCutWhereLayersBeginAndEnd) {
  EXPECT_EQ(text_of(cut_at_layers({{0, 100}}, {{20, 37}, {48, 80}})), "0-20 20-48 48-80 80-100 ");
  EXPECT_EQ(text_of(cut_at_layers({{0, 10}, {60, 100}}, {{16, 48}, {48, 80}})),
            "0-10 60-80 80-100 ");
  EXPECT_EQ(text_of(cut_at_layers({{0, 100}}, {})), "0-100 ");
  EXPECT_EQ(text_of(cut_at_layers({{0, 100}}, {{0, 0}})), "0-100 ");
}

TEST(LayerNorms, AreRootsOfTheSumsOfTheirRanges) {
  test::FakeCommunicator ranks(0, 2);
  ranks.others["norms of the layers"] = 7.0;
  const std::vector<FlatRange> owned = {{0, 16}, {16, 32}, {32, 48}, {48, 64}, {64, 80}};
  const std::vector<FlatRange> layers = {{16, 48}, {48, 64}};
  const std::vector<double> squares = {100, 4, 5, 16, 100};
  EXPECT_THAT(layer_norms(squares, owned, layers, false, ranks), ElementsAre(3, 4));
  EXPECT_THAT(ranks.calls, IsEmpty()) << "each rank knows the whole";
  EXPECT_THAT(layer_norms(squares, owned, layers, true, ranks), ElementsAre(4, std::sqrt(23.0)));
}

TEST(ActivationTotals, AreRootMeanSquaresOfAllRanksWithoutPadding) {
  Telemetry telemetry;
  telemetry.add(ActivationObservation{
      .layer = 1, .x_BTM = Tensor::from(std::vector<float>{1, 3, 2, 2, 100, 100}, {1, 3, 2})});
  ActivationTotals totals(3);
  totals.add(telemetry, Tensor::from(std::vector<std::int32_t>{2}, {1}));
  test::FakeCommunicator one;
  const std::vector<double> norms = totals.report(one);
  EXPECT_TRUE(std::isnan(norms[0]));
  EXPECT_DOUBLE_EQ(norms[1], std::sqrt(18.0 / 4));
  test::FakeCommunicator ranks(0, 2);
  ranks.others["activations of the layers"] = 2.0;  // of squares, and of elements
  EXPECT_DOUBLE_EQ(totals.report(ranks)[1], std::sqrt(20.0 / 6));
  EXPECT_DOUBLE_EQ(totals.report(one)[1], std::sqrt(18.0 / 4)) << "asking twice adds nothing";
  totals.reset();
  EXPECT_TRUE(std::isnan(totals.report(one)[1]));
}

TEST(SpectralNorms, FollowWeightsThatMove) {
  const auto model = test::make_tiny_model(Dtype::kF32);
  SpectralNorms norms(model->parameters());
  EXPECT_EQ(norms.state().defined(), false);
  for (int step = 0; step < 4; ++step) {
    const auto measured = norms.measure();
    ASSERT_EQ(measured.size(), norms.paths().size());
    for (const auto& [path, value] : measured) {
      Parameter& parameter = *model->parameters().find(path);
      const double exact = leading_singular_svd(parameter.master(), path).sigma;
      EXPECT_LE(value, exact * (1 + 1e-6)) << path;
      EXPECT_GE(value, exact * (step == 0 ? 1 - 1e-6 : 0.97)) << path;
      for (float& weight : parameter.master().span<float>()) {
        weight *= 1.01F + 0.01F * std::sin(static_cast<float>(step) + 100.0F * weight);
      }
    }
  }
  // Another that takes up the vectors measures the same.
  SpectralNorms second(model->parameters());
  second.restore(norms.state());
  EXPECT_EQ(second.measure(), norms.measure());
  second.restore(Tensor::zeros({3}, Dtype::kF32));
  EXPECT_EQ(second.state().numel(), norms.state().numel());
  // What has no direction, or is no number, has a norm all the same, or none.
  model->parameters().parameters()[1].master().fill(0.0);
  SpectralNorms of_zero(model->parameters());
  (void)of_zero.measure();
}

// A run of a few steps, observed or not.
struct WatchedRun {
  explicit WatchedRun(const std::vector<Observable>& observe,
                      Recompute recompute = Recompute::kNone)
      : model(test::make_tiny_model(Dtype::kF32)),
        optimizer(nullptr),
        reducer(model->parameters(), ranks, make_buckets(model->parameters(), 1024, 1), false),
        observation({.observe = observe}, *model, ranks, false),
        entropy(model->heads_per_layer()) {
    set_num_threads(1);
    model->parameters().set_owned(
        cut_at_layers(model->parameters().owned(), model->layer_ranges()));
    optimizer = test::choice_of<Optimizer>("{kind: adamw, lr: 0.01}").make(model->parameters());
    step = std::make_unique<TrainStep>(*model, *optimizer, reducer, ranks,
                                       TrainStepOptions{.clip_norm = 1.0, .recompute = recompute});
  }
  StepReport take(std::int64_t number, bool observed) {
    entropy.reset();
    outcome =
        step->run(test::tiny_step({2, 3}), number, 0.01, entropy, {}, observation.watch(observed));
    StepReport report{.step = number};
    if (observed) {
      observation.report(entropy.report(), outcome, report);
    }
    return report;
  }

  std::unique_ptr<DecoderLm> model;
  std::unique_ptr<Optimizer> optimizer;
  test::FakeCommunicator ranks;
  GradientReducer reducer;
  Observation observation;
  EntropyTotals entropy;
  std::unique_ptr<TrainStep> step;
  StepOutcome outcome;
};

std::vector<std::string> keys_of(const StepReport& report) {
  std::vector<std::string> keys;
  for (const auto& [key, table] : report.heads) {
    keys.push_back(key);
  }
  for (const auto& [key, values] : report.layers) {
    keys.push_back(key);
  }
  for (const auto& [key, values] : report.named) {
    keys.push_back(key);
  }
  return keys;
}

TEST(Observation, SeesWithoutTouching) {
  for (const Recompute recompute : {Recompute::kNone, Recompute::kBlock}) {
    WatchedRun all({Observable::kAll}, recompute);
    WatchedRun none({});
    for (std::int64_t number = 1; number <= 3; ++number) {
      const StepReport report = all.take(number, true);
      EXPECT_THAT(keys_of(none.take(number, false)), IsEmpty());
      EXPECT_THAT(keys_of(report),
                  ElementsAre("low_rows", "entropy_floor", "sink_mass", "activation_norms",
                              "gradient_norms", "update_norms", "spectral_norms"));
      EXPECT_EQ(all.outcome.loss, none.outcome.loss);
      // Layers and the rest make up the whole.
      const std::vector<double>& squares = all.outcome.gradient_squares;
      EXPECT_DOUBLE_EQ(std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0)),
                       all.outcome.grad_norm);
    }
    test::expect_bits_equal(all.model->parameters().master(), none.model->parameters().master(),
                            "weights");
  }
}

TEST(Observation, NamesAreThoseOfItsReports) {
  for (const std::vector<Observable>& observe :
       {std::vector<Observable>{},
        {Observable::kUpdateNorms},
        {Observable::kAll},
        {Observable::kLowRows, Observable::kGammas, Observable::kGradientNorms}}) {
    WatchedRun run(observe);
    const StepReport report = run.take(1, true);
    const ObservedNames names = run.observation.names();
    std::vector<std::string> all = names.heads;
    all.insert(all.end(), names.layers.begin(), names.layers.end());
    for (const auto& [key, entries] : names.named) {
      all.push_back(key);
      EXPECT_EQ(report.named.back().second.size(), entries.size());
    }
    EXPECT_EQ(keys_of(report), all);
  }
}

// Two tokens of the first sample are padding, and so is all of the second.
TEST(Observation, PaddingCountsNowhere) {
  WatchedRun run({Observable::kActivationNorms});
  LoadedStep data = test::tiny_step({2});
  Tensor& targets = data.micro_batches[0].targets_BT;
  targets = targets.clone();
  for (std::int64_t i = 0; i < targets.numel(); ++i) {
    targets.data<std::int32_t>()[i] = i < test::kTinyLength - 3 ? 1 : kIgnoredTarget;
  }
  run.entropy.reset();
  (void)run.step->run(data, 1, 0.01, run.entropy, {}, run.observation.watch(true));
  EXPECT_EQ(run.entropy.report()[0][0].rows, static_cast<double>(test::kTinyLength - 2));
}

// A refused update leaves everything where it was, and says so.
TEST(Observation, AnUpdateThatIsNotAcceptedIsLeftOut) {
  WatchedRun run({});
  const Tensor before = run.model->parameters().master().clone();
  double asked = 0;
  const StepOutcome outcome =
      run.step->run(test::tiny_step({2}), 1, 0.01, run.entropy, {}, {}, [&](const StepOutcome& o) {
        asked = o.grad_norm;
        return false;
      });
  EXPECT_GT(asked, 0.0);
  EXPECT_TRUE(outcome.finite);
  EXPECT_FALSE(outcome.updated);
  EXPECT_EQ(outcome.update_norm, 0.0);
  EXPECT_THAT(outcome.update_squares, IsEmpty());
  test::expect_bits_equal(run.model->parameters().master(), before, "weights");
}

}  // namespace
}  // namespace clausius
