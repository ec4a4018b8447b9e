// SPDX-License-Identifier: Apache-2.0
// The event files that runs of the program leave: what they tell, going on after a stop, and none where none are wanted.
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/end_to_end/training_run.h"
#include "tests/support/event_reader.h"

namespace clausius {
namespace {

using test::Event;
using test::TrainingRun;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<Event> events_of(const std::filesystem::path& file) {
  const test::EventRecords records = test::read_events(file);
  EXPECT_FALSE(records.torn);
  return records.events;
}

std::vector<std::int64_t> steps_with(const std::vector<Event>& events, const std::string& tag) {
  std::vector<std::int64_t> steps;
  for (const Event& event : events) {
    if (event.values.contains(tag)) {
      steps.push_back(event.step);
    }
  }
  return steps;
}

TEST(Train, EventFilesTellWhatMetricsTell) {
  const TrainingRun run({"train.steps=12", "monitor.every=5", "evaluate.every=6"});
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  const auto files = test::event_files(run.directory());
  ASSERT_EQ(files.size(), 1U);
  const std::vector<Event> events = events_of(files[0]);
  EXPECT_THAT(steps_with(events, "loss"), ElementsAre(1, 5, 10, 12));
  EXPECT_THAT(steps_with(events, "entropy_normalized_map"), ElementsAre(1, 5, 10, 12));
  EXPECT_THAT(steps_with(events, "val_loss"), ElementsAre(6, 12));
  EXPECT_THAT(steps_with(events, "_hparams_/session_end_info"), ElementsAre(12));
  // Version, start, recipe, four samples, two evaluations, end: nothing for other steps.
  EXPECT_EQ(events.size(), 10U);
  for (const Json& line : run.metrics()) {
    for (const char* key : {"loss", "lr", "grad_norm", "update_norm", "tokens_per_second",
                            "val_loss", "val_bits_per_byte"}) {
      if (line.find(key) == nullptr) {
        continue;
      }
      std::optional<float> got;
      for (const Event& event : events) {
        if (event.step == line.at("step").integer() && event.values.contains(key)) {
          got = test::only(event.values.at(key), 2).real32();
        }
      }
      EXPECT_EQ(got, static_cast<float>(line.at(key).number())) << key << " in " << line.dump();
    }
  }
}

TEST(Train, EventFilesCanBeTurnedOff) {
  const TrainingRun run({"train.steps=2", "monitor.tensorboard=false"});
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  EXPECT_THAT(test::event_files(run.directory()), IsEmpty());
}

TEST(TrainResume, OpensAnEventFileThatHidesLaterSteps) {
  const std::vector<std::string> recipe = {"train.steps=8", "monitor.every=1",
                                           "checkpoint.every=3"};
  TrainingRun run(recipe);
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  const std::string third = (run.directory() / "checkpoints" / "step_000000003.h5").string();
  std::vector<std::string> resuming = recipe;
  resuming.insert(resuming.end(), {"--resume", third});
  run.again(resuming);
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  const auto files = test::event_files(run.directory());
  ASSERT_EQ(files.size(), 2U);
  EXPECT_THAT(steps_with(events_of(files[0]), "loss"), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  const std::vector<Event> resumed = events_of(files[1]);
  EXPECT_EQ(resumed.at(1).session_status, 1);
  EXPECT_EQ(resumed.at(1).step, 4);
  EXPECT_THAT(steps_with(resumed, "loss"), ElementsAre(4, 5, 6, 7, 8));
}

#ifdef CLAUSIUS_HAS_MPI
TEST(TrainRanks, OneOfThemWritesEventFiles) {
  const TrainingRun run({"train.steps=2"}, 2);
  ASSERT_EQ(run.process().exit_code, 0) << run.process().output;
  EXPECT_EQ(test::event_files(run.directory()).size(), 1U);
}
#endif

}  // namespace
}  // namespace clausius
