// SPDX-License-Identifier: Apache-2.0
// Watching a run, and what its alarms do: every observable changes nothing, and each policy acts as it says.
#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/atomic_file.h"
#include "core/io/hdf5.h"
#include "tests/end_to_end/training_run.h"
#include "tests/support/op_case.h"
#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

using test::TrainingRun;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Parameters and optimizer state; what monitors keep is their own.
void expect_same_weights(const TrainingRun& got, const TrainingRun& want, std::int64_t step) {
  const Checkpoint a = got.checkpoint(step);
  const Checkpoint b = want.checkpoint(step);
  std::size_t compared = 0;
  for (const CheckpointTensor& tensor : b.tensors) {
    if (tensor.role != TensorRole::kMonitor) {
      test::expect_bits_equal(a.find(tensor.role, tensor.name), tensor.value, tensor.name);
      ++compared;
    }
  }
  EXPECT_GT(compared, 30U);
}

std::vector<std::string> with(std::vector<std::string> overrides,
                              const std::vector<std::string>& more) {
  overrides.insert(overrides.end(), more.begin(), more.end());
  return overrides;
}

// Messages of events of this name, "STEP: MESSAGE", directories left out.
std::vector<std::string> events(const TrainingRun& run, const std::string& name) {
  std::vector<std::string> texts;
  for (const Json& line : run.metrics()) {
    if (line.find("event") != nullptr && line.at("event").text() == name) {
      std::string text = concat(line.at("step").integer(), ": ", line.at("message").text());
      const std::string directory = run.directory().string();
      for (std::size_t at = text.find(directory); at != std::string::npos;
           at = text.find(directory)) {
        text.replace(at, directory.size(), "RUN");
      }
      texts.push_back(text);
    }
  }
  return texts;
}

// A few steps of rows that no tile divides.
const std::vector<std::string> kShort = {"train.steps=6", "data.context_length=96",
                                         "train.batch_tokens=960"};
const std::vector<std::string> kEverything = with(kShort, {"monitor.observe=[all]"});

TEST(TrainMonitor, WatchingEverythingChangesNoWeight) {
  for (const std::vector<std::string>& model :
       {std::vector<std::string>{"model.mixer={kind: softmax, window: 20, sink: learned, "
                                 "logit_softcap: 20, temperature: per_head}"},
        std::vector<std::string>{"precision=bf16", "train.recompute=block"}}) {
    const std::vector<std::string> overrides = with(kEverything, model);
    const std::vector<std::string> nothing = {"monitor.every=1000", "monitor.observe=[]",
                                              "monitor.sink_above=null"};
    const TrainingRun always(with(overrides, {"monitor.every=1"}));
    const TrainingRun never(with(overrides, {"monitor.every=1000"}));
    const TrainingRun bare(with(with(kShort, model), nothing));
    EXPECT_EQ(always.steps().size(), 6U);
    EXPECT_EQ(never.steps().size(), 2U);
    EXPECT_EQ(bare.steps().back().find("sink_mass"), nullptr);
    expect_same_weights(never, always, 6);
    expect_same_weights(bare, always, 6);
    // What both wrote is the same.
    EXPECT_EQ(never.steps().back().at("entropy_floor").dump(),
              always.steps().back().at("entropy_floor").dump());
    EXPECT_EQ(never.steps().back().at("activation_norms").dump(),
              always.steps().back().at("activation_norms").dump());
  }
}

TEST(TrainMonitor, ObservationsHoldTogether) {
  const TrainingRun run(with(kEverything, {"monitor.every=1"}));
  for (const Json& step : run.steps()) {
    double gradient = 0;
    double update = 0;
    for (std::size_t layer = 0; layer < 2; ++layer) {
      for (std::size_t h = 0; h < 4; ++h) {
        const auto head = [&](const char* key) {
          return step.at(key).array().at(layer).array().at(h).number();
        };
        // A floor is below every row's entropy, up to the rounding of both in f32.
        EXPECT_LE(head("entropy_floor"), head("entropy_mean") * (1 + 1e-4)) << step.dump();
        EXPECT_GT(head("entropy_floor"), 0.0);
        EXPECT_GE(head("low_rows"), 0.0);
        EXPECT_LT(head("sink_mass"), 1.0);
        EXPECT_GT(head("sink_mass"), 0.0);
      }
      EXPECT_GT(step.at("activation_norms").array().at(layer).number(), 0.0);
      gradient += std::pow(step.at("gradient_norms").array().at(layer).number(), 2);
      update += std::pow(step.at("update_norms").array().at(layer).number(), 2);
    }
    // The embedding has its part too.
    EXPECT_LT(std::sqrt(gradient), step.at("grad_norm").number());
    EXPECT_LT(std::sqrt(update), step.at("update_norm").number());
    EXPECT_EQ(step.find("gammas"), nullptr) << "nothing is reparametrised";
    EXPECT_EQ(step.at("spectral_norms").object().size(), 2U * 4U);
    EXPECT_GE(step.at("collapsed_heads").integer(), 0);
  }
  const Hdf5Reader file(run.directory() / "entropy.h5");
  for (const char* name : {"entropy_nats", "low_rows", "entropy_floor", "sink_mass"}) {
    EXPECT_EQ(file.info(name).shape, (Shape{6, 2, 4})) << name;
  }
  for (const char* name : {"activation_norms", "gradient_norms", "update_norms"}) {
    EXPECT_EQ(file.info(name).shape, (Shape{6, 2})) << name;
  }
  EXPECT_EQ(file.info("spectral_norms").shape, (Shape{6, 8}));
  EXPECT_THAT(file.require<std::string>("spectral_norms", "names"),
              HasSubstr("blocks.1.mixer.out"));
  EXPECT_FLOAT_EQ(
      file.tensor("sink_mass").data<float>()[0],
      static_cast<float>(run.steps().front().at("sink_mass").array().at(0).array().at(0).number()));
}

TEST(TrainMonitor, AStoppedRunObservesWhatOneThatGoesOnDoes) {
  const std::vector<std::string> overrides =
      with(kEverything, {"monitor.every=1", "checkpoint.every=3"});
  const TrainingRun straight(overrides);
  TrainingRun stopped(with(overrides, {"--stop-after", "3"}));
  ASSERT_EQ(stopped.process().exit_code, 0) << stopped.process().output;
  stopped.again(with(overrides, {"--resume", "auto"}));
  test::expect_same_record(stopped, straight, "stopped and resumed");
  test::expect_same_checkpoint(stopped.checkpoint(6), straight.checkpoint(6), "resumed");
}

// ---- policies ----

TEST(TrainMonitor, StopKeepsTheStateAndSaysWhy) {
  // Heads begin near the largest entropy: three samples in a row raise the alarm.
  const std::vector<std::string> overrides = {"train.steps=8", "monitor.every=1",
                                              "monitor.on_alarm={overload: stop}"};
  TrainingRun run(overrides);
  EXPECT_EQ(run.process().exit_code, 4);
  EXPECT_THAT(run.process().output,
              HasSubstr("step 3: overload: layer 0 head 0: normalised entropy"));
  EXPECT_THAT(run.process().output, HasSubstr("step_000000003.h5"));
  EXPECT_EQ(run.checkpoint(3).step, 3);
  EXPECT_EQ(events(run, "end").size(), 1U);
  EXPECT_THAT(events(run, "end")[0], HasSubstr("3: stopped by an alarm: overload"));
  EXPECT_EQ(run.metrics().back().at("event").text(), "end");
  // With another policy it goes on as if nothing had been.
  run.again({"train.steps=8", "monitor.every=1", "--resume", "auto"});
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  const TrainingRun straight({"train.steps=8", "monitor.every=1"});
  expect_same_weights(run, straight, 8);

  const TrainingRun silent({"train.steps=8", "monitor.every=1", "monitor.overload_above=1.0",
                            "monitor.on_alarm={overload: stop}"});
  EXPECT_EQ(silent.process().exit_code, 0) << silent.process().output;
  EXPECT_THAT(events(silent, "alarm"), IsEmpty());
}

// Text that is learned within sixty steps of 1024 bytes, then two steps of another alphabet, then the text again.
class Glitch {
 public:
  Glitch() {
    std::string text;
    const auto fill = [&](std::size_t size, const std::string& with) {
      while (text.size() < size * 1024) {
        text += with;
      }
      text.resize(size * 1024);
    };
    fill(60, "the cat sat on the mat. ");
    std::uint32_t state = 1;
    while (text.size() < 62 * 1024) {
      state = state * 1664525U + 1013904223U;
      text.push_back("ZQXWVK#@%&*!~^JP"[state >> 28]);
    }
    fill(140, "the cat sat on the mat. ");
    write_file_atomically(folder_.path() / "glitch.txt", text);
  }
  [[nodiscard]] std::vector<std::string> recipe(const std::string& policy,
                                                const std::string& every = "5") const {
    return {"data.train=" + (folder_.path() / "glitch.txt").string(),
            "data.shuffle=false",
            "data.packing=stream",
            "data.validation_ratio=0",
            "schedule=constant",
            "optimizer.lr=3e-4",
            "train.steps=70",
            "monitor.every=" + every,
            "monitor.overload_above=1.0",
            "monitor.spike_above=1.5",
            "monitor.alarm_after=1",
            "checkpoint.every=10",
            "checkpoint.keep_last=all",
            "parallel.check_every=1",
            "monitor.on_alarm={spike: " + policy + "}"};
  }

 private:
  test::TemporaryDirectory folder_;
};

TEST(TrainMonitor, SkipLeavesOutTheUpdatesOfASpike) {
  const Glitch glitch;
  const TrainingRun run(glitch.recipe("skip", "1"));
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  for (const Json& step : run.steps()) {
    const std::int64_t number = step.at("step").integer();
    EXPECT_EQ(step.at("update_norm").number() == 0.0, number == 61 || number == 62) << number;
  }
  // Whether anybody looks or not.
  const TrainingRun unwatched(glitch.recipe("skip", "1000"));
  expect_same_weights(unwatched, run, 70);
  // Left alone it trains on them.
  const TrainingRun logged(glitch.recipe("log", "1"));
  EXPECT_GT(logged.steps()[60].at("update_norm").number(), 0.0);
  EXPECT_THAT(events(logged, "alarm")[0], HasSubstr("61: raised: spike: loss"));
}

void expect_rolled_back(const TrainingRun& run) {
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  const std::vector<std::string> resumed = events(run, "resume");
  // Each of the two bad steps sends the run back once; the third try has other data.
  ASSERT_EQ(resumed.size(), 2U) << run.process().output;
  EXPECT_THAT(
      resumed[0],
      HasSubstr("60: rolled back from step 61 to RUN/checkpoints/step_000000060.h5: spike: loss"));
  EXPECT_THAT(resumed[1], HasSubstr("60: rolled back from step 61"));
  // Step 61 is done with the samples of the 63rd.
  EXPECT_EQ(run.checkpoint(70).samples, 72 * 16);
  EXPECT_EQ(std::get<std::int64_t>(run.checkpoint(70).values.at("passed_over")), 2 * 16);
  std::vector<std::int64_t> rows;
  const Tensor steps = Hdf5Reader(run.directory() / "entropy.h5").tensor("step");
  for (const std::int64_t step : steps.span<std::int64_t>()) {
    rows.push_back(step);
  }
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
  EXPECT_EQ(rows.back(), 70);
}

TEST(TrainMonitor, RollbackGoesOnFromBeforeTheAlarmWithOtherData) {
  const Glitch glitch;
  const TrainingRun run(glitch.recipe("rollback"));
  expect_rolled_back(run);
  // Nothing of the bad samples is left: the same weights as a run that skipped them whole.
  TrainingRun stopped(with(glitch.recipe("rollback"), {"--stop-after", "65"}));
  stopped.again(with(glitch.recipe("rollback"), {"--resume", "auto"}));
  ASSERT_EQ(stopped.process().exit_code, 0) << stopped.process().output;
  test::expect_same_checkpoint(stopped.checkpoint(70), run.checkpoint(70),
                               "resumed after a rollback");
}

TEST(TrainMonitor, RollbackThatDoesNotHelpEnds) {
  // The largest logit grows past this in step 17, whatever the data: the checkpoint of step 15 is the last without it.
  const TrainingRun run({"train.steps=25", "monitor.every=1", "checkpoint.every=5",
                         "monitor.alarm_after=2", "monitor.overload_above=1.0",
                         "monitor.logit_above=0.21", "monitor.on_alarm={logit: rollback}"});
  EXPECT_EQ(run.process().exit_code, 4);
  ASSERT_EQ(events(run, "resume").size(), 3U) << run.process().output;
  EXPECT_THAT(events(run, "resume")[0], HasSubstr("15: rolled back from step"));
  EXPECT_THAT(run.process().output, HasSubstr("went back 3 times"));
  // An alarm from the first step on has nothing to go back to.
  const TrainingRun first({"train.steps=12", "monitor.every=1", "checkpoint.every=2",
                           "monitor.on_alarm={overload: rollback}"});
  EXPECT_EQ(first.process().exit_code, 4);
  EXPECT_THAT(first.process().output, HasSubstr("no checkpoint from before step 1 to go back to"));
  const TrainingRun never({"train.steps=12", "monitor.on_alarm={overload: rollback}"});
  EXPECT_EQ(never.process().exit_code, 2);
  EXPECT_THAT(never.process().output,
              HasSubstr("checkpoint.every 50 is not below the run's 12 steps"));
}

TEST(TrainMonitor, WhatIsNotFiniteIsLeftOutUntilNothingElseIsLeft) {
  // The first update throws the weights out of every range.
  const std::vector<std::string> broken = {"train.steps=60", "optimizer.lr=1e38",
                                           "schedule=constant", "train.clip_norm=null"};
  const TrainingRun stopped(broken);
  EXPECT_EQ(stopped.process().exit_code, 4);
  EXPECT_THAT(stopped.process().output, HasSubstr("step 2: nonfinite: step 2: loss"));
  EXPECT_EQ(stopped.checkpoint(1).step, 1);
  const TrainingRun skipped(with(broken, {"monitor.on_alarm={nonfinite: skip}"}));
  EXPECT_EQ(skipped.process().exit_code, 4);
  EXPECT_THAT(skipped.process().output, HasSubstr("30 updates in a row were left out"));
}

TEST(TrainMonitor, RaiseTemperatureWarmsTheHeadsThatCollapsed) {
  // Every head counts as collapsed until its entropy is nearly the largest.
  const std::vector<std::string> overrides = {"train.steps=9",
                                              "monitor.every=1",
                                              "model.mixer={kind: softmax, temperature: per_head}",
                                              "optimizer.lr=1e-9",
                                              "monitor.overload_above=1.0",
                                              "monitor.collapse_below=0.99995"};
  const TrainingRun plain(overrides);
  const TrainingRun raised(with(overrides, {"monitor.on_alarm={collapse: raise_temperature}"}));
  ASSERT_EQ(raised.process().exit_code, 0) << raised.process().output;
  std::size_t warmer = 0;
  for (std::size_t layer = 0; layer < 2; ++layer) {
    const std::string path = concat("blocks.", layer, ".mixer.log_temperature");
    const Tensor before = plain.checkpoint(9).find(TensorRole::kParameter, path);
    const Tensor after = raised.checkpoint(9).find(TensorRole::kParameter, path);
    for (std::int64_t h = 0; h < 4; ++h) {
      const double factor = std::exp(static_cast<double>(after.data<float>()[h]) -
                                     static_cast<double>(before.data<float>()[h]));
      const double times = std::round(std::log(factor) / std::log(1.5));
      EXPECT_NEAR(factor, std::pow(1.5, times), 1e-5 * factor);
      const auto entropy = [&](const TrainingRun& run) {
        return run.steps()
            .back()
            .at("entropy_mean")
            .array()
            .at(layer)
            .array()
            .at(static_cast<std::size_t>(h))
            .number();
      };
      if (times > 0) {
        ++warmer;
        EXPECT_GT(entropy(raised), entropy(plain));
      }
    }
  }
  EXPECT_GT(warmer, 0U);
  EXPECT_EQ(events(raised, "alarm").empty(), false);
  const TrainingRun refused({"monitor.on_alarm={collapse: raise_temperature}"});
  EXPECT_EQ(refused.process().exit_code, 2);
}

// ---- ranks ----

TEST(TrainRanks, WatchTheSame) {
  const std::vector<std::string> overrides = with(kEverything, {"monitor.every=1"});
  const std::vector<Json> one = TrainingRun(overrides).steps();
  std::vector<std::string> shared =
      with(overrides, {"parallel.zero=1", "parallel.bucket_bytes=65536"});
  for (const std::vector<std::string>& arguments : {overrides, shared}) {
    const std::vector<Json> two = TrainingRun(arguments, 2).steps();
    ASSERT_EQ(two.size(), one.size());
    for (const char* key : {"activation_norms", "gradient_norms", "update_norms"}) {
      for (std::size_t layer = 0; layer < 2; ++layer) {
        const double want = one[0].at(key).array().at(layer).number();
        // The first step, before Adam makes signs of roundings of small gradients.
        EXPECT_NEAR(two[0].at(key).array().at(layer).number(), want, 1e-4 * want) << key;
      }
    }
    for (const char* key : {"entropy_mean", "entropy_floor", "sink_mass", "low_rows"}) {
      for (std::size_t layer = 0; layer < 2; ++layer) {
        for (std::size_t h = 0; h < 4; ++h) {
          const double want = one[0].at(key).array().at(layer).array().at(h).number();
          EXPECT_NEAR(two[0].at(key).array().at(layer).array().at(h).number(), want, 1e-6 * want)
              << key;
        }
      }
    }
  }
}

TEST(TrainRanks, RollBackTogether) {
  const Glitch glitch;
  expect_rolled_back(TrainingRun(glitch.recipe("rollback"), 2));
  expect_rolled_back(TrainingRun(
      with(glitch.recipe("rollback"), {"parallel.zero=1", "parallel.bucket_bytes=65536"}), 2));
}

TEST(TrainRanks, StopTogether) {
  const TrainingRun run(
      {"train.steps=8", "monitor.every=1", "monitor.on_alarm={overload: stop}", "parallel.zero=1"},
      2);
  EXPECT_NE(run.process().exit_code, 0);
  EXPECT_EQ(run.checkpoint(3).step, 3);
}

}  // namespace
}  // namespace clausius
