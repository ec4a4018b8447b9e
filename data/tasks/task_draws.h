// SPDX-License-Identifier: Apache-2.0
// TaskDraws: the random numbers of one sample of a synthetic task.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

namespace clausius {

/// Streams that never meet: what is trained on is not evaluated on.
enum class TaskSplit : std::uint64_t { kTrain = 0, kValidation = 1, kTest = 2 };

/// SplitMix64, started afresh for every sample: a draw is a pure function of (seed, split, sample, number of the draw), so that
/// samples are the same on any rank, thread and micro-batch, and in any program that follows these few lines.
/// Check:   seed 7, validation, sample 0 draws c51bda1be9c268bb, 1c5bf1cef68305ad, 06ba7636e3be0e1a.
class TaskDraws {
 public:
  TaskDraws(std::uint64_t seed, TaskSplit split, std::int64_t sample);

  [[nodiscard]] std::uint64_t u64();
  /// Uniform in [0, n).
  [[nodiscard]] std::int64_t below(std::int64_t n);
  /// Uniform in [0, 1), 53 bits.
  [[nodiscard]] double uniform();
  /// Moves `count` elements, drawn without replacement, to the front of `list`, in the order drawn.
  template <class T>
  void choose(std::span<T> list, std::int64_t count) {
    const auto size = static_cast<std::int64_t>(list.size());
    for (std::int64_t i = 0; i < count; ++i) {
      std::swap(list[static_cast<std::size_t>(i)],
                list[static_cast<std::size_t>(i + below(size - i))]);
    }
  }

 private:
  std::uint64_t state_;
};

}  // namespace clausius
