// SPDX-License-Identifier: Apache-2.0
// Which keys a query sees. Every mask is, for one query, an interval of keys.
#pragma once

#include <cstdint>
#include <optional>

#include "core/tensor.h"

namespace clausius::ops {

/// What a query sees is the intersection of all that is set.
struct AttentionMask {
  /// Keys up to the query's own position.
  bool causal = true;
  /// At most this many keys back, the query's own included; the same number ahead where not causal.
  /// >= 1.
  std::optional<std::int64_t> window;
  /// i32 [documents + 1]: borders of documents in the flattened B T tokens, from 0 to B T,
  /// ascending; a row's end is a border. Queries see keys of their own document. Needs S = T and
  /// query_offset 0. Undefined: one document a row.
  Tensor cu_seqlens;
  /// i32 [B]: keys [0, length) of the row exist. Undefined: all S.
  Tensor key_lengths;
  /// Key position of query 0: S - T when decoding or continuing a prefill.
  std::int64_t query_offset = 0;
  /// Kept for block-sparse selection; refused (UnsupportedError) until that is built.
  Tensor block_list;
};

/// Query (b, i) sees keys [begin, end), both i32 [B, T], both ascending within a row; begin = end
/// where it sees none.
struct AttentionBounds {
  Tensor begin_BT;
  Tensor end_BT;
};

/// Errors: ShapeError, DtypeError, ConfigError naming the part of the mask; UnsupportedError for a
/// block list.
[[nodiscard]] AttentionBounds attention_bounds(const AttentionMask& mask,
                                               std::int64_t B,
                                               std::int64_t T,
                                               std::int64_t S);

/// Visible keys of each query, i32 [B, T]: what normalises entropies (sum of H over sum of ln n).
[[nodiscard]] Tensor attention_visible_counts(const AttentionMask& mask,
                                              std::int64_t B,
                                              std::int64_t T,
                                              std::int64_t S);

}  // namespace clausius::ops
