// SPDX-License-Identifier: Apache-2.0
// Data kind `task`, and the task repeated_segment: what its rows are, that they are the same however they are read, and what the
// recipe refuses.
#include "data/task_data.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/yaml.h"
#include "data/loader.h"
#include "tests/data/files.h"

namespace clausius {
namespace {

using test::error_of;
using ::testing::HasSubstr;

Choice<Dataset> read(const std::string& yaml) {
  const auto source =
      std::make_shared<ConfigSource>(ConfigSource{.name = "recipe.yaml", .directory = "/here"});
  Choice<Dataset> choice;
  ReadLog log;
  read_config(parse_yaml(yaml, source), choice, log);
  return choice;
}

std::unique_ptr<Dataset> dataset(const std::string& keys = "", std::uint64_t seed = 7) {
  return read("{kind: task, task: repeated_segment, context_length: 48" + keys + "}")
      .make(DataContext{.seed = seed});
}

// One row as plain vectors.
struct Row {
  std::vector<std::int32_t> inputs;
  std::vector<std::int32_t> targets;
};

std::vector<Row> rows_of(const Batch& batch) {
  std::vector<Row> rows;
  const std::size_t length = static_cast<std::size_t>(batch.inputs_BT.size(1));
  const auto inputs = batch.inputs_BT.span<std::int32_t>();
  const auto targets = batch.targets_BT.span<std::int32_t>();
  for (std::size_t begin = 0; begin < inputs.size(); begin += length) {
    const auto x = inputs.subspan(begin, length);
    const auto y = targets.subspan(begin, length);
    rows.push_back({{x.begin(), x.end()}, {y.begin(), y.end()}});
  }
  return rows;
}

// The least period in range that explains the inputs: knows nothing of the generator.
std::size_t period_of(const std::vector<std::int32_t>& inputs,
                      std::size_t least,
                      std::size_t most) {
  for (std::size_t period = least; period <= most; ++period) {
    if (std::equal(inputs.begin() + static_cast<std::ptrdiff_t>(period), inputs.end(),
                   inputs.begin())) {
      return period;
    }
  }
  return 0;
}

std::uint64_t fnv1a(const std::vector<Row>& rows) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const Row& row : rows) {
    for (const auto& part : {row.inputs, row.targets}) {
      for (const std::int32_t value : part) {
        for (int byte = 0; byte < 4; ++byte) {
          hash ^= (static_cast<std::uint32_t>(value) >> (8 * byte)) & 0xFF;
          hash *= 0x100000001b3;
        }
      }
    }
  }
  return hash;
}

TEST(TaskData, DefaultsAreThoseOfTheRecipeLanguage) {
  const Choice<Dataset> choice =
      read("{kind: task, task: {kind: repeated_segment}, context_length: 48}");
  const auto* config = choice.get_if<TaskDataConfig>();
  ASSERT_NE(config, nullptr);
  EXPECT_EQ(config->targets, TaskTargets::kAnswer);
  EXPECT_EQ(config->prefetch, 2);
  const DataTraits traits = choice.facts();
  EXPECT_EQ(traits.context_length, 48);
  EXPECT_EQ(traits.vocab_size, 24);
  EXPECT_TRUE(traits.endless);
  EXPECT_TRUE(traits.has_validation);
  EXPECT_FALSE(traits.packs_documents);
  const std::string resolved = to_yaml(write_config(choice));
  EXPECT_THAT(resolved, HasSubstr("period_range: [6, 15]"));
  EXPECT_EQ(to_yaml(write_config(read(resolved))), resolved);
}

TEST(TaskData, ImpossibleCombinationsAreRefused) {
  const auto message = [](const std::string& keys) {
    return error_of<ConfigError>([&] { (void)read("{kind: task, " + keys + "}"); });
  };
  EXPECT_THAT(message("task: repeated_segment"),
              HasSubstr("key 'context_length': repeated_segment has rows of any length; give one"));
  EXPECT_THAT(message("task: repeated_segment, context_length: 15"),
              HasSubstr("needs rows of at least 16 tokens with these knobs, not 15"));
  EXPECT_THAT(message("task: {kind: repeated_segment, period_range: [9, 5]}, context_length: 48"),
              HasSubstr("recipe.yaml:1:45: key 'task.period_range': the least, 9, is greater than "
                        "the greatest, 5"));
  EXPECT_THAT(message("task: {kind: repeated_segment, period_range: [0, 5]}, context_length: 48"),
              HasSubstr("out of range"));
  EXPECT_THAT(message("task: {kind: repeated_segment, vocab_size: 1}, context_length: 48"),
              HasSubstr("out of range"));
  EXPECT_THAT(message("task: {kind: repeat_segment}, context_length: 48"),
              HasSubstr("did you mean 'repeated_segment'?"));
  EXPECT_THAT(message("task: repeated_segment, context_length: 48, shuffle: true"),
              HasSubstr("shuffle"));
}

// Computed by another program from the definitions of draws and task.
TEST(TaskData, TheFirstSamplesAreTheseForEver) {
  EXPECT_EQ(fnv1a(rows_of(dataset()->validation()->read(0, 4))), 0x23a83de718cf5676U);
  EXPECT_EQ(fnv1a(rows_of(dataset(", targets: all")->validation()->read(0, 4))),
            0x44640c04c85f4753U);
  EXPECT_EQ(fnv1a(rows_of(dataset()->train().read(0, 4))), 0x43baf8a823c33a21U);
}

TEST(RepeatedSegment, ASolverThatReadsOnlyTheInputsFindsEveryTarget) {
  for (const bool all : {false, true}) {
    const auto data = dataset(all ? ", targets: all" : "");
    const Batch batch = data->train().read(0, 200);
    EXPECT_FALSE(batch.cu_seqlens.defined());
    double labels = 0;
    for (const Row& row : rows_of(batch)) {
      const std::size_t period = period_of(row.inputs, 6, 15);
      ASSERT_GT(period, 0U);
      for (std::size_t t = 0; t < 48; ++t) {
        const bool known = t >= period;
        if (all || known) {
          ++labels;
          // Before that the next input tells, for all but the answers to be known.
          const std::int32_t next = known ? row.inputs[t + 1 - period] : row.inputs[t + 1];
          ASSERT_EQ(row.targets[t], next) << t;
        } else {
          ASSERT_EQ(row.targets[t], kIgnoredTarget) << t;
        }
      }
    }
    EXPECT_EQ(batch.weight, labels);
    EXPECT_EQ(batch.target_bytes, 0.0);
  }
}

// Every period within 5 standard deviations of a tenth; the symbols likewise.
TEST(RepeatedSegment, PeriodsAndSymbolsAreUniform) {
  constexpr std::int64_t kRows = 4000;
  std::map<std::size_t, int> periods;
  std::vector<int> symbols(24);
  int drawn = 0;
  for (const Row& row : rows_of(dataset()->train().read(0, kRows))) {
    const std::size_t period = period_of(row.inputs, 6, 15);
    ++periods[period];
    for (std::size_t t = 0; t < period; ++t) {
      ++symbols.at(static_cast<std::size_t>(row.inputs[t]));
      ++drawn;
    }
  }
  ASSERT_EQ(periods.size(), 10U);
  for (const auto& [period, count] : periods) {
    EXPECT_NEAR(count, 400, 5 * std::sqrt(4000 * 0.1 * 0.9)) << period;
  }
  const double p = 1.0 / 24;
  for (const int count : symbols) {
    EXPECT_NEAR(count, drawn * p, 5 * std::sqrt(drawn * p * (1 - p)));
  }
}

// What models are measured against: loss over every next token of one that knows nothing, of one that counts the symbols it has
// seen in the row, and of one that copies from the last round as soon as it can.
TEST(RepeatedSegment, LossesOfSimplePredictors) {
  double unigram = 0;
  double counting = 0;
  double copying = 0;
  double targets = 0;
  for (const Row& row : rows_of(dataset(", targets: all")->validation()->read(0, 1000))) {
    const std::size_t period = period_of(row.inputs, 6, 15);
    std::vector<double> seen(24, 1.0 / 24);
    for (std::size_t t = 0; t < 48; ++t) {
      seen.at(static_cast<std::size_t>(row.inputs[t])) += 1;
      unigram += std::log(24.0);
      counting -= std::log(seen.at(static_cast<std::size_t>(row.targets[t])) /
                           (static_cast<double>(t + 1) + 1.0));
      copying += t < period ? std::log(24.0) : 0.0;
      ++targets;
    }
  }
  EXPECT_NEAR(unigram / targets, 3.178, 0.001);
  EXPECT_NEAR(counting / targets, 2.62, 0.01);
  // Ten and a half of 48 targets on average; the mean of 1000 periods has a standard error of 0.09.
  EXPECT_NEAR(copying / targets, 10.5 / 48 * std::log(24.0), 5 * 0.09 / 48 * std::log(24.0));
}

TEST(TaskData, SamplesAreTheSameHoweverTheyAreRead) {
  const auto data = dataset();
  const std::vector<Row> straight = rows_of(data->train().read(0, 42));
  for (const int ranks : {1, 2, 3}) {
    for (const std::int64_t micro_batch : {1, 5, 14}) {
      // From the start, and as a run that resumes after its first step.
      for (const std::int64_t first : {0, 14}) {
        std::map<std::int64_t, std::vector<std::int32_t>> inputs;
        for (int rank = 0; rank < ranks; ++rank) {
          Loader loader(data->train(), {.batch_samples = 14,
                                        .micro_batch = micro_batch,
                                        .rank = rank,
                                        .ranks = ranks,
                                        .first_sample = first,
                                        .end_sample = 42});
          while (const std::optional<LoadedStep> step = loader.next()) {
            for (const Batch& batch : step->micro_batches) {
              const std::vector<Row> rows = rows_of(batch);
              for (std::size_t i = 0; i < rows.size(); ++i) {
                inputs[batch.sample_ids_B.span<std::int64_t>()[i]] = rows[i].inputs;
              }
            }
          }
        }
        ASSERT_EQ(std::ssize(inputs), 42 - first);
        for (const auto& [sample, tokens] : inputs) {
          ASSERT_EQ(tokens, straight.at(static_cast<std::size_t>(sample)).inputs);
        }
      }
    }
  }
}

TEST(TaskData, SeedsAndSplitsAreStreamsOfTheirOwn) {
  const auto first = [](const SampleSequence& samples) {
    return rows_of(samples.read(0, 1)).front().inputs;
  };
  const auto data = dataset();
  EXPECT_NE(first(data->train()), first(*data->validation()));
  EXPECT_NE(first(data->train()), first(dataset("", 8)->train()));
  EXPECT_NE(data->facts().fingerprint, dataset("", 8)->facts().fingerprint);
  EXPECT_EQ(data->facts().fingerprint, dataset()->facts().fingerprint);
  EXPECT_NE(data->facts().fingerprint, dataset(", targets: all")->facts().fingerprint);
  const auto pinned = [](std::uint64_t run) {
    return read("{kind: task, task: {kind: repeated_segment, seed: 3}, context_length: 48}")
        .make(DataContext{.seed = run});
  };
  EXPECT_EQ(first(pinned(1)->train()), first(pinned(2)->train()));
  EXPECT_EQ(data->validation()->epoch_size(), 1000);
  EXPECT_EQ(data->facts().vocab_size, 24);
  EXPECT_EQ(data->tokenizer(), nullptr);
}

// A task of rows of one length, whose answers are no next tokens: all that another task has to be.
struct SumConfig : TaskConfig {
  static constexpr std::string_view kDoc = "the sum of two digits";
  [[nodiscard]] TaskTraits facts() const {
    return {.vocab_size = 19, .fixed_length = 2, .has_all_targets = false, .seed = seed};
  }
};

class Sum final : public Task {
 public:
  Sum(const SumConfig& /*config*/, const TaskShape& /*shape*/) {}
  void fill(const TaskRow& row, TaskDraws& draws) const override {
    row.inputs_T[0] = static_cast<std::int32_t>(draws.below(10));
    row.inputs_T[1] = static_cast<std::int32_t>(draws.below(10));
    row.targets_T[1] = row.inputs_T[0] + row.inputs_T[1];
  }
};

CLS_REGISTER(Task, "test_sum", Sum, SumConfig);

TEST(TaskData, AnotherTaskIsOneFile) {
  const Choice<Dataset> choice = read("{kind: task, task: test_sum}");
  EXPECT_EQ(choice.facts().context_length, 2);
  EXPECT_THAT(to_yaml(write_config(choice)), HasSubstr("context_length: 2"));
  const Batch batch = choice.make(DataContext{})->train().read(5, 3);
  EXPECT_EQ(batch.weight, 3.0);
  for (const Row& row : rows_of(batch)) {
    EXPECT_EQ(row.targets[0], kIgnoredTarget);
    EXPECT_EQ(row.targets[1], row.inputs[0] + row.inputs[1]);
  }
  EXPECT_THAT(
      error_of<ConfigError>([] { (void)read("{kind: task, task: test_sum, targets: all}"); }),
      HasSubstr("test_sum has answers that are no next tokens; use answer"));
  EXPECT_THAT(
      error_of<ConfigError>([] { (void)read("{kind: task, task: test_sum, context_length: 3}"); }),
      HasSubstr("test_sum has rows of 2 tokens with these knobs, not 3"));
}

}  // namespace
}  // namespace clausius
