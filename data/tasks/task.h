// SPDX-License-Identifier: Apache-2.0
// Task: a generator of samples whose answers are known. A task is one file that registers itself (see repeated_segment.cpp).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "core/config.h"
#include "core/registry.h"
#include "core/targets.h"
#include "data/tasks/task_draws.h"

// Legend: T tokens of a row.
namespace clausius {

enum class TaskTargets : std::uint8_t {
  /// Loss where the answer can be known.
  kAnswer,
  /// Loss on every next token.
  kAll,
};
constexpr auto words_of(TaskTargets /*unused*/) {
  return words("answer", "all");
}

/// What a task is asked to fill.
struct TaskShape {
  std::int64_t context_length = 0;
  TaskTargets targets = TaskTargets::kAnswer;
};

/// One row. Targets come filled with kIgnoredTarget.
struct TaskRow {
  std::span<std::int32_t> inputs_T;
  std::span<std::int32_t> targets_T;
};

class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;
  /// Writes every input, and the targets that carry loss: the token that each position must predict. The order of its draws is
  /// part of a task's definition. Thread-safe.
  virtual void fill(const TaskRow& row, TaskDraws& draws) const = 0;
};

/// What a recipe can be checked against before a task is made.
struct TaskTraits {
  std::int64_t vocab_size = 0;
  /// The only length it has; 0: the recipe gives one.
  std::int64_t fixed_length = 0;
  /// The shortest row that holds an answer.
  std::int64_t shortest_length = 2;
  /// Every next token can be a target.
  bool has_all_targets = true;
  /// Of the samples; none: the run's.
  std::optional<std::int64_t> seed{};
};

/// Keys of every task.
struct TaskConfig {
  Auto<std::int64_t> seed;

  void visit(ConfigVisitor& v) {
    v.field("seed", seed, "of the samples; auto: the run's", non_negative);
  }
};

/// Kinds register themselves by name (recipe key data.task).
template <>
struct RegistryTraits<Task> {
  static constexpr std::string_view kFamily = "task";
  using Context = NoContext;
  using Make = std::unique_ptr<Task>(const TaskShape&);
  using Facts = TaskTraits;
};

}  // namespace clausius
