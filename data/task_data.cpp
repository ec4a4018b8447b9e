// SPDX-License-Identifier: Apache-2.0
// Rows of synthetic tasks as batches.
#include "data/task_data.h"

#include <algorithm>
#include <numeric>

#include "core/checked.h"
#include "core/error.h"
#include "core/io/hash.h"

namespace clausius {
namespace {

constexpr std::int64_t kValidationSamples = 1000;
constexpr std::int64_t kFingerprintSamples = 16;

std::int64_t length_of(const TaskDataConfig& config) {
  return config.context_length.value_or(config.task.facts().fixed_length);
}

std::string fingerprint_of(const SampleSequence& samples) {
  const Batch batch = samples.read(0, kFingerprintSamples);
  std::string bytes;
  for (const Tensor& tensor : {batch.inputs_BT, batch.targets_BT}) {
    const std::span raw(tensor.raw(), tensor.bytes());
    std::transform(raw.begin(), raw.end(), std::back_inserter(bytes),
                   [](std::byte byte) { return static_cast<char>(byte); });
  }
  return xxh3_128(bytes).hex();
}

CLS_REGISTER(Dataset, "task", TaskDataset, TaskDataConfig);

}  // namespace

void TaskDataConfig::visit(ConfigVisitor& v) {
  v.required("task", task, "what is asked");
  v.derived(
      "context_length", context_length,
      [this] {
        const std::int64_t fixed = task.kind().empty() ? 0 : task.facts().fixed_length;
        return fixed > 0 ? std::optional(fixed) : std::nullopt;
      },
      "the task's, where it has one", "tokens of a row", at_least(2));
  v.field("targets", targets,
          "positions that carry loss: answer: where it can be known; all: every next token");
  v.field("prefetch", prefetch, "steps read ahead", non_negative);
}

void TaskDataConfig::validate(const ConfigCheck& check) const {
  const TaskTraits traits = task.facts();
  const std::int64_t length = length_of(*this);
  check.that(length > 0, "context_length", task.kind(), " has rows of any length; give one");
  check.that(traits.fixed_length == 0 || length == traits.fixed_length, "context_length",
             task.kind(), " has rows of ", traits.fixed_length, " tokens with these knobs, not ",
             length);
  check.that(length >= traits.shortest_length, "context_length", task.kind(),
             " needs rows of at least ", traits.shortest_length, " tokens with these knobs, not ",
             length);
  check.that(targets == TaskTargets::kAnswer || traits.has_all_targets, "targets", task.kind(),
             " has answers that are no next tokens; use answer");
}

DataTraits TaskDataConfig::facts() const {
  return {.context_length = length_of(*this),
          .endless = true,
          .has_validation = true,
          .prefetch = prefetch,
          .vocab_size = task.facts().vocab_size};
}

Batch TaskSamples::read(std::int64_t first, std::int64_t count) const {
  const std::int64_t length = shape_.context_length;
  Batch batch;
  batch.inputs_BT = Tensor::empty({count, length}, Dtype::kI32);
  batch.targets_BT = Tensor::full({count, length}, kIgnoredTarget, Dtype::kI32);
  batch.positions_BT = Tensor::empty({count, length}, Dtype::kI32);
  batch.sample_ids_B = Tensor::empty({count}, Dtype::kI64);
  const auto row_of = [&](Tensor& tensor, std::int64_t row) {
    return tensor.span<std::int32_t>().subspan(static_cast<std::size_t>(row * length),
                                               static_cast<std::size_t>(length));
  };
  for (std::int64_t i = 0; i < count; ++i) {
    TaskDraws draws(seed_, split_, first + i);
    task_.fill({row_of(batch.inputs_BT, i), row_of(batch.targets_BT, i)}, draws);
    const auto positions = row_of(batch.positions_BT, i);
    std::iota(positions.begin(), positions.end(), 0);
    batch.sample_ids_B.span<std::int64_t>()[static_cast<std::size_t>(i)] = first + i;
  }
  const auto targets = batch.targets_BT.span<std::int32_t>();
  batch.weight = static_cast<double>(std::ssize(targets) -
                                     std::count(targets.begin(), targets.end(), kIgnoredTarget));
  return batch;
}

TaskDataset::TaskDataset(const TaskDataConfig& config, const DataContext& context) {
  const TaskTraits traits = config.task.facts();
  const TaskShape shape{.context_length = length_of(config), .targets = config.targets};
  const std::uint64_t seed = traits.seed ? static_cast<std::uint64_t>(*traits.seed) : context.seed;
  task_ = config.task.make(shape);
  train_ = std::make_unique<TaskSamples>(*task_, shape, seed, TaskSplit::kTrain, 0);
  validation_ = std::make_unique<TaskSamples>(*task_, shape, seed, TaskSplit::kValidation,
                                              kValidationSamples);
  facts_ = {.vocab_size = traits.vocab_size,
            .context_length = shape.context_length,
            .validation_samples = kValidationSamples,
            .fingerprint = fingerprint_of(*train_)};
  summary_ = concat("task ", config.task.kind(), ": ", traits.vocab_size,
                    " symbols, endless rows of ", shape.context_length, "; loss on ",
                    config.targets == TaskTargets::kAll ? "every next token" : "the answers", "; ",
                    kValidationSamples, " validation rows");
}

}  // namespace clausius
