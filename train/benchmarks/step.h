// SPDX-License-Identifier: Apache-2.0
// The benchmark that counts: whole training steps of a recipe, on random tokens.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "train/recipe.h"

namespace clausius {

struct StepBenchmarkOptions {
  /// Rows of a step, one micro-batch; 0: 2048 tokens of them, on a device 16384.
  std::int64_t rows = 0;
  std::int64_t steps = 5;
  /// Also time each step once more, watched for all that the recipe's `monitor` asks for, reports included (without files).
  bool observe = false;
};

struct StepBenchmark {
  std::string recipe;
  Dtype dtype = Dtype::kF32;
  Device device = kCpu;
  std::int64_t rows = 0;
  std::int64_t context_length = 0;
  std::int64_t vocab_size = 0;
  int threads = 1;
  double median_seconds = 0;
  double best_seconds = 0;
  double loss = 0;
  /// What watching adds to a step: the median over pairs of steps, one watched and one not, one after the other. Only with `observe`.
  double observing_seconds = 0;
  /// Of the median step; attention backward counts 2.5 times forward, masked halves and recomputation not at all.
  double flops = 0;
  std::int64_t peak_memory_bytes = 0;    // in use at once, by the allocator
  std::int64_t held_memory_bytes = 0;    // with the blocks that the allocator keeps for reuse
  std::int64_t peak_resident_bytes = 0;  // of the process so far

  [[nodiscard]] double tokens_per_second() const {
    return static_cast<double>(rows * context_length) / median_seconds;
  }
};

/// Forward, backward, gradient norm and clipping, update; entropies of all heads are taken as in every run. Two steps warm up.
/// The data of the recipe are not opened; without a vocabulary of its own it gets a byte's.
[[nodiscard]] StepBenchmark benchmark_step(const Recipe& recipe,
                                           const StepBenchmarkOptions& options);

}  // namespace clausius
