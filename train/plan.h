// SPDX-License-Identifier: Apache-2.0
// What a recipe will take, worked out before anything runs: parameters, memory, arithmetic.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/io/json.h"
#include "train/machine_profile.h"
#include "train/recipe.h"
#include "train/run_plan.h"

namespace clausius {

/// Bytes of one rank, as the allocator of the device it computes on counts them. A step takes its peak, step_bytes(), in the forward
/// pass (the head holds its logits) or in the backward pass.
struct MemoryPlan {
  Recompute recompute = Recompute::kNone;
  /// Batches and checkpoint copies are the host's, and in no sum.
  bool on_device = false;
  std::int64_t parameters = 0;
  std::int64_t compute_copy = 0;  // bf16
  std::int64_t reparam = 0;       // vectors and norms of linear.reparam, weights it makes
  std::int64_t gradients = 0;
  std::int64_t optimizer = 0;
  std::int64_t activations = 0;  // kept from forward to backward
  std::int64_t working = 0;      // beyond all of those at the peak
  bool peak_in_forward = false;
  std::int64_t logits_chunk = 0;     // part of `working` where the peak is in forward
  std::int64_t workspace = 0;        // of a device's matrix products
  std::int64_t kept = 0;             // blocks of a device kept for reuse, beyond the peak
  std::int64_t batches = 0;          // read ahead
  std::int64_t checkpoint_copy = 0;  // while a checkpoint is written in the background

  /// What `peak_memory_bytes` of the metrics comes to, but for checkpoints.
  [[nodiscard]] std::int64_t step_bytes() const;
  [[nodiscard]] std::int64_t total_bytes() const {
    return step_bytes() + kept + (on_device ? 0 : checkpoint_copy);
  }
};

struct PartPlan {
  std::string name;  // first part of the parameters' path; "blocks" for all of them
  std::int64_t parameters = 0;
  std::int64_t count = 1;  // blocks
};

struct TrainingPlan {
  std::string name;
  RunPlan run{};
  Device device = kCpu;   // what a rank computes on
  std::string machine{};  // "this machine", or a profile's description
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
  std::int64_t available_bytes = 0;  // for all ranks: memory they share, or their devices'

  [[nodiscard]] const MemoryPlan& chosen() const;
  /// All ranks together.
  [[nodiscard]] bool fits() const;
};

/// Lays the model out and takes a training step in a dry run: milliseconds and no memory, whatever the size. Opens the data only
/// where the vocabulary is known to them alone. Resets the allocator's peak.
/// Value:   for this machine, and the device on it that the recipe means; or, with a profile, for machines with one such device a rank,
///          whatever `device` says.
/// Errors:  ConfigError, DataError, IoError of the recipe and its data.
[[nodiscard]] TrainingPlan make_training_plan(const Recipe& recipe,
                                              int ranks,
                                              int cores_per_rank,
                                              const MachineProfile* profile = nullptr);

/// Tables for people. `peak_flops`: of one rank, for a least step time; 0 leaves it out.
[[nodiscard]] std::string to_text(const TrainingPlan& plan, double peak_flops);
[[nodiscard]] Json to_json(const TrainingPlan& plan, double peak_flops);

}  // namespace clausius
