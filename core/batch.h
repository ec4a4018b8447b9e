// SPDX-License-Identifier: Apache-2.0
// Batch: what the data room hands to a model for one forward pass.
#pragma once

#include <array>
#include <cstdint>

#include "core/targets.h"
#include "core/tensor.h"

// Legend: B samples (rows), T tokens of a row.
namespace clausius {

struct Batch {
  /// i32. Padding at the end of a row holds the end-of-text id and no target.
  Tensor inputs_BT{};
  /// i32, the token after each input, or kIgnoredTarget.
  Tensor targets_BT{};
  /// i32, from 0, restarting with each document.
  Tensor positions_BT{};
  /// i32 [documents + 1]: where each document starts in the B * T flattened tokens, then B * T. Documents neither cross
  /// rows nor see each other. Undefined when every row is one document.
  Tensor cu_seqlens{};
  /// i32 [B, T] each: the first position of each token's document in its row, and the one past its last: cu_seqlens as devices read it.
  /// Undefined until mark_documents().
  Tensor document_begin_BT{};
  Tensor document_end_BT{};
  /// i64, place of each sample in the run's sequence of samples: the same on any number of ranks.
  Tensor sample_ids_B{};
  /// Targets that carry loss; known before the forward pass, so ranks can add it up early.
  double weight = 0.0;
  /// Text bytes of those targets, for bits per byte; 0 when the tokenizer is unknown.
  double target_bytes = 0.0;

  /// What a model reads where it computes. cu_seqlens stays on the host.
  static constexpr std::array kDeviceParts = {&Batch::inputs_BT,       &Batch::targets_BT,
                                              &Batch::positions_BT,    &Batch::document_begin_BT,
                                              &Batch::document_end_BT, &Batch::sample_ids_B};

  /// Fills document_begin_BT and document_end_BT from cu_seqlens; without it every row is one document. Once is enough.
  /// Errors: ShapeError unless cu_seqlens runs from 0 to B * T, ascending, with a border at the end of every row.
  void mark_documents();

  /// The same batch on another device, where documents are marked if there are several in a row.
  [[nodiscard]] Batch to(Device device) const;

  [[nodiscard]] std::int64_t samples() const {
    return sample_ids_B.defined() ? sample_ids_B.size(0) : 0;
  }
};

}  // namespace clausius
