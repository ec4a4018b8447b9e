// SPDX-License-Identifier: Apache-2.0
// What a forward pass tells every layer: which tokens, which documents, which phase, where to report.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/batch.h"
#include "core/ops/rope/rope.h"
#include "core/random.h"
#include "core/tensor.h"
#include "layers/telemetry.h"

// Legend: B batch, T tokens.
namespace clausius {

enum class Phase {
  kTrain,     // gradients, dropout
  kEvaluate,  // no dropout
  kGenerate,  // prefill and decode: keys of earlier calls are in the mixer's state
};

struct SequenceContext {
  Phase phase = Phase::kEvaluate;
  /// Tokens see only what came before them.
  bool causal = true;
  Tensor positions_BT{};
  Tensor cu_seqlens{};
  /// The same for devices; see Batch. Undefined where the batch does not mark them.
  Tensor document_begin_BT{};
  Tensor document_end_BT{};
  Tensor sample_ids_B{};
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::int64_t layer = 0;
  /// Undefined tensors in layers without rotary positions.
  ops::RopeTable rope{};
  /// nullptr: nothing is reported.
  Telemetry* telemetry = nullptr;

  /// Random numbers for one use in one layer, in this step; the sample index is filled in by the op, row by row.
  [[nodiscard]] RandomStream stream(std::string_view path) const {
    return {.seed = seed, .stream = stream_of(path), .step = step};
  }
};

}  // namespace clausius
