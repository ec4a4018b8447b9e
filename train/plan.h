// SPDX-License-Identifier: Apache-2.0
// What a recipe will take, worked out before anything runs: parameters, memory, arithmetic.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/io/json.h"
#include "train/recipe.h"
#include "train/run_plan.h"

namespace clausius {

/// Bytes of one rank, as the allocator counts them. A step takes its peak, step_bytes(), in the forward pass (the head holds its
/// logits) or in the backward pass.
struct MemoryPlan {
  Recompute recompute = Recompute::kNone;
  std::int64_t parameters = 0;
  std::int64_t compute_copy = 0;  // bf16
  std::int64_t gradients = 0;
  std::int64_t optimizer = 0;
  std::int64_t activations = 0;  // kept from forward to backward
  std::int64_t working = 0;      // beyond all of those at the peak
  bool peak_in_forward = false;
  std::int64_t logits_chunk = 0;     // part of `working` where the peak is in forward
  std::int64_t batches = 0;          // read ahead
  std::int64_t checkpoint_copy = 0;  // while a checkpoint is written in the background

  /// What `peak_memory_bytes` of the metrics comes to, but for checkpoints.
  [[nodiscard]] std::int64_t step_bytes() const;
  [[nodiscard]] std::int64_t total_bytes() const { return step_bytes() + checkpoint_copy; }
};

struct PartPlan {
  std::string name;  // first part of the parameters' path; "blocks" for all of them
  std::int64_t parameters = 0;
  std::int64_t count = 1;  // blocks
};

struct TrainingPlan {
  std::string name;
  RunPlan run{};
  std::int64_t vocab_size = 0;
  std::string precision{};
  std::vector<PartPlan> parts{};
  std::int64_t parameters = 0;
  Recompute recompute = Recompute::kNone;  // the recipe's
  std::vector<MemoryPlan> memory{};        // for each Recompute, in order
  /// Floating-point operations of a step over all ranks (DECISIONS of the project: attention backward is 2.5 times forward,
  /// the masked half and recomputation are not counted).
  double matmul_flops = 0;
  double attention_flops = 0;
  std::int64_t available_bytes = 0;  // on this machine, for all its ranks

  [[nodiscard]] const MemoryPlan& chosen() const;
  /// All ranks together, on this machine.
  [[nodiscard]] bool fits() const;
};

/// Lays the model out and takes a training step in a dry run: milliseconds and no memory, whatever the size. Opens the data only
/// where the vocabulary is known to them alone. Resets the allocator's peak.
/// Errors:  ConfigError, DataError, IoError of the recipe and its data.
[[nodiscard]] TrainingPlan make_training_plan(const Recipe& recipe, int ranks, int cores_per_rank);

/// Tables for people. `peak_flops`: of one rank, for a least step time; 0 leaves it out.
[[nodiscard]] std::string to_text(const TrainingPlan& plan, double peak_flops);
[[nodiscard]] Json to_json(const TrainingPlan& plan, double peak_flops);

}  // namespace clausius
