// SPDX-License-Identifier: Apache-2.0
// Data kind `task`: samples made on the spot.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "data/dataset.h"
#include "data/tasks/task.h"

namespace clausius {

struct TaskDataConfig {
  static constexpr std::string_view kDoc =
      "a synthetic task: an endless stream of samples made on the spot";
  Choice<Task> task{};
  Auto<std::int64_t> context_length;
  TaskTargets targets = TaskTargets::kAnswer;
  std::int64_t prefetch = 2;

  void visit(ConfigVisitor& v);
  void validate(const ConfigCheck& check) const;
  [[nodiscard]] DataTraits facts() const;
};

/// Samples of one split of a task.
class TaskSamples final : public SampleSequence {
 public:
  /// `samples` of one pass; 0: endless. `task` must outlive the sequence.
  TaskSamples(const Task& task,
              const TaskShape& shape,
              std::uint64_t seed,
              TaskSplit split,
              std::int64_t samples)
      : task_(task), shape_(shape), seed_(seed), split_(split), samples_(samples) {}

  [[nodiscard]] std::int64_t epoch_size() const override { return samples_; }
  /// Cost:    a few nanoseconds a token; nothing is kept between reads.
  [[nodiscard]] Batch read(std::int64_t first, std::int64_t count) const override;

 private:
  const Task& task_;
  TaskShape shape_;
  std::uint64_t seed_;
  TaskSplit split_;
  std::int64_t samples_;
};

/// An endless training stream and 1000 validation samples of another one, which never meet.
class TaskDataset final : public Dataset {
 public:
  TaskDataset(const TaskDataConfig& config, const DataContext& context);

  [[nodiscard]] const DataFacts& facts() const override { return facts_; }
  [[nodiscard]] const SampleSequence& train() const override { return *train_; }
  [[nodiscard]] const SampleSequence* validation() const override { return validation_.get(); }
  [[nodiscard]] const Tokenizer* tokenizer() const override { return nullptr; }
  [[nodiscard]] std::string summary() const override { return summary_; }

 private:
  std::unique_ptr<Task> task_;
  std::unique_ptr<TaskSamples> train_;
  std::unique_ptr<TaskSamples> validation_;
  DataFacts facts_;
  std::string summary_;
};

}  // namespace clausius
