// SPDX-License-Identifier: Apache-2.0
// tiny_cpu from the command line: it learns, its record is complete, equal runs leave equal bits, watching changes nothing.
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "tests/end_to_end/training_run.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

using test::record_of;
using test::TrainingRun;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;

// Nats of a byte for one who knows how often each byte occurs, and nothing else.
double unigram_entropy(const std::string& text) {
  std::array<double, 256> counts{};
  for (const char byte : text) {
    counts[static_cast<unsigned char>(byte)] += 1;
  }
  double entropy = 0;
  for (const double count : counts) {
    const double p = count / static_cast<double>(text.size());
    entropy -= count > 0 ? p * std::log(p) : 0.0;
  }
  return entropy;
}

std::vector<std::string> keys_of(const Json& line) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : line.object()) {
    keys.push_back(key);
  }
  return keys;
}

TEST(Train, LearnsAndKeepsARecord) {
  const TrainingRun run;
  const std::vector<Json> steps = run.steps();
  ASSERT_EQ(steps.size(), 11U) << run.process().output;
  // It starts knowing nothing of 257 tokens, and ends with more than the frequencies of bytes.
  EXPECT_NEAR(steps.front().at("loss").number(), std::log(257.0), 0.05);
  const std::string text = read_file(test::source_dir() / "recipes" / "data" / "tiny.txt");
  EXPECT_LT(steps.back().at("loss").number(), unigram_entropy(text));

  std::vector<std::int64_t> numbers;
  for (const Json& step : steps) {
    EXPECT_THAT(keys_of(step),
                IsSupersetOf({"wall_time", "step", "tokens", "samples", "loss", "lr", "grad_norm",
                              "update_norm", "tokens_per_second", "step_ms", "model_tflops",
                              "fraction_of_peak", "peak_memory_bytes", "entropy_mean",
                              "entropy_normalized", "max_logit"}));
    numbers.push_back(step.at("step").integer());
    EXPECT_EQ(step.at("tokens").integer(), 1024 * numbers.back());
    EXPECT_EQ(step.at("samples").integer(), 16 * numbers.back());
    for (const char* key : {"entropy_mean", "entropy_normalized", "max_logit"}) {
      ASSERT_EQ(step.at(key).array().size(), 2U) << key;
      for (const Json& layer : step.at(key).array()) {
        EXPECT_EQ(layer.array().size(), 4U) << key;
      }
    }
  }
  EXPECT_THAT(numbers, ElementsAre(1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100));

  const std::vector<Json> lines = run.metrics();
  EXPECT_EQ(lines.front().at("event").text(), "start");
  EXPECT_EQ(lines.back().at("event").text(), "end");
  std::vector<std::int64_t> evaluations;
  for (const Json& line : lines) {
    if (line.find("val_loss") != nullptr) {
      evaluations.push_back(line.at("step").integer());
      EXPECT_LT(line.at("val_loss").number(), std::log(257.0));
      EXPECT_GT(line.at("val_bits_per_byte").number(), 0.0);
    }
  }
  EXPECT_THAT(evaluations, ElementsAre(50, 100));
  for (const char* file : {"recipe.resolved.yaml", "log.txt"}) {
    EXPECT_TRUE(std::filesystem::exists(run.directory() / file)) << file;
  }
}

// The curve that this version of the program draws: a change that moves it is a change of what is trained.
TEST(Train, DrawsTheGoldenCurve) {
  const TrainingRun run({"train.steps=60", "evaluate.every=60"});
  constexpr std::array kLosses = {5.573605, 5.184969, 4.507191, 3.794632,
                                  3.433617, 3.226775, 3.224413};
  const std::vector<Json> steps = run.steps();
  ASSERT_EQ(steps.size(), kLosses.size()) << run.process().output;
  for (std::size_t i = 0; i < kLosses.size(); ++i) {
    EXPECT_NEAR(steps[i].at("loss").number(), kLosses[i], 1e-4 * kLosses[i]) << "sample " << i;
  }
}

TEST(Train, EqualRunsLeaveEqualBits) {
  for (const char* precision : {"precision=f32", "precision=bf16"}) {
    const std::vector<std::string> overrides = {precision, "train.steps=8", "monitor.every=1",
                                                "model.dropout=0.1", "evaluate.every=4"};
    const TrainingRun first(overrides);
    const TrainingRun second(overrides);
    EXPECT_EQ(record_of(first).size(), 10U);
    test::expect_same_record(second, first, precision);
    test::expect_same_checkpoint(second.checkpoint(8), first.checkpoint(8), precision);
    std::vector<std::string> other = overrides;
    other.emplace_back("seed=1338");
    EXPECT_NE(record_of(TrainingRun(other)), record_of(first)) << "the seed has no effect";
  }
}

TEST(Train, WatchingChangesNothing) {
  const TrainingRun always({"train.steps=12", "monitor.every=1"});
  const TrainingRun never({"train.steps=12", "monitor.every=1000"});
  EXPECT_EQ(always.steps().size(), 12U);
  EXPECT_EQ(never.steps().size(), 2U);
  test::expect_same_checkpoint(never.checkpoint(12), always.checkpoint(12), "monitor.every=1000");
  const TrainingRun bare({"train.steps=12", "monitor.every=1", "monitor.tensorboard=false"});
  test::expect_same_record(bare, always, "monitor.tensorboard=false");
  test::expect_same_checkpoint(bare.checkpoint(12), always.checkpoint(12),
                               "monitor.tensorboard=false");
}

TEST(Train, RecomputationChangesNothing) {
  const TrainingRun plain({"train.steps=6", "monitor.every=1", "model.dropout=0.1"});
  const TrainingRun again(
      {"train.steps=6", "monitor.every=1", "model.dropout=0.1", "train.recompute=block"});
  test::expect_same_record(again, plain, "recompute");
  test::expect_same_checkpoint(again.checkpoint(6), plain.checkpoint(6), "recompute");
}

// lr 1e-3 and warm-up 20 are the recipe's.
TEST(Train, ADeviceGraphThatCannotBeIsAnError) {
  const TrainingRun run({"device=cpu", "train.device_graph=on"});
  EXPECT_EQ(run.process().exit_code, 2) << run.process().output;
  EXPECT_NE(run.process().output.find("train.device_graph: on"), std::string::npos)
      << run.process().output;
}

TEST(TrainSlow, AnyMicroBatchGivesTheSameCurve) {
  const std::vector<std::string> overrides = {"train.steps=50", "monitor.every=1"};
  const auto with = [&](const char* micro_batch) {
    std::vector<std::string> all = overrides;
    all.emplace_back(micro_batch);
    return TrainingRun(all).steps();
  };
  const std::vector<Json> whole = with("train.micro_batch=16");
  ASSERT_EQ(whole.size(), 50U);
  for (const char* split : {"train.micro_batch=1", "train.micro_batch=4", "train.micro_batch=5"}) {
    test::expect_same_losses(with(split), whole, 1e-5, split);
  }
}

TEST(TrainSlow, Bf16LearnsAsF32Does) {
  const std::vector<std::string> overrides = {"train.steps=50", "monitor.every=1"};
  const std::vector<Json> f32 = TrainingRun(overrides).steps();
  std::vector<std::string> rounded = overrides;
  rounded.emplace_back("precision=bf16");
  const std::vector<Json> bf16 = TrainingRun(rounded).steps();
  // A loss near 3 with activations good to the unit roundoff of bf16.
  test::expect_same_losses(bf16, f32, 0x1p-9, "bf16");
}

#ifdef CLAUSIUS_HAS_MPI
TEST(TrainRanks, AnyNumberOfRanksGivesTheSameCurve) {
  const std::vector<std::string> overrides = {"train.steps=50", "monitor.every=1"};
  const std::vector<Json> single = TrainingRun(overrides).steps();
  ASSERT_EQ(single.size(), 50U);
  test::expect_same_losses(TrainingRun(overrides, 1).steps(), single, 0.0, "1 rank");
  for (const int ranks : {2, 3}) {
    test::expect_same_losses(TrainingRun(overrides, ranks).steps(), single, 1e-5,
                             std::to_string(ranks) + " ranks");
  }
}

// Gradients travel while backward runs: buckets begin before it ends.
TEST(TrainRanks, GradientsAreReducedDuringBackward) {
  const test::TemporaryDirectory folder;
  const std::string file = (folder.path() / "trace.json").string();
  const TrainingRun run({"train.steps=3", "parallel.bucket_bytes=65536", "--trace", file}, 2);
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  const Json trace = Json::parse(read_file(file), file);
  double backward_end = 0;
  int early = 0;
  int buckets = 0;
  for (const Json& event : trace.at("traceEvents").array()) {
    const std::string& name = event.at("name").text();
    if (name == "backward") {
      backward_end = event.at("ts").number() + event.at("dur").number();
    } else if (name.starts_with("bucket")) {
      ++buckets;
      early += event.at("ts").number() < backward_end ? 1 : 0;
    }
  }
  // Three steps of more than three buckets; only the last of a step has to wait for the end of backward.
  EXPECT_GE(buckets, 3 * 4);
  EXPECT_GE(early, buckets - 3);
}

// Where the optimizer's state lies changes nothing: not a bit of weights and moments without clipping, and with it the norm's last digits.
TEST(TrainRanks, ZeroOneIsZeroZero) {
  for (const char* precision : {"f32", "bf16"}) {
    const std::vector<std::string> overrides = {
        "train.steps=8", "monitor.every=1", "train.clip_norm=null", "parallel.bucket_bytes=65536",
        concat("precision=", precision)};
    std::vector<std::string> shared = overrides;
    shared.emplace_back("parallel.zero=1");
    for (const int ranks : {2, 3}) {
      const TrainingRun whole(overrides, ranks);
      const TrainingRun shares(shared, ranks);
      ASSERT_EQ(shares.process().exit_code, 0) << shares.process().output;
      test::expect_same_losses(shares.steps(), whole.steps(), 0.0, "zero 1");
      test::expect_same_checkpoint(shares.checkpoint(8), whole.checkpoint(8), "zero 1");
    }
  }
}

TEST(TrainRanks, ZeroOneClipsAsZeroZero) {
  const std::vector<std::string> overrides = {"train.steps=20", "monitor.every=1",
                                              "train.clip_norm=0.1"};
  std::vector<std::string> shared = overrides;
  shared.emplace_back("parallel.zero=1");
  const TrainingRun whole(overrides, 2);
  const TrainingRun shares(shared, 2);
  // The clip factor may differ by an f32 rounding in each of 20 steps.
  test::expect_same_losses(shares.steps(), whole.steps(), 20 * 0x1p-23, "zero 1");
}

TEST(TrainRanks, EqualRunsLeaveEqualBits) {
  const std::vector<std::string> overrides = {"train.steps=8", "monitor.every=1",
                                              "model.dropout=0.1"};
  const TrainingRun first(overrides, 2);
  const TrainingRun second(overrides, 2);
  test::expect_same_record(second, first, "2 ranks");
  test::expect_same_checkpoint(second.checkpoint(8), first.checkpoint(8), "2 ranks");
}
#endif

}  // namespace
}  // namespace clausius
