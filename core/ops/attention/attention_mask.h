// SPDX-License-Identifier: Apache-2.0
// Which keys a query sees. Every mask is, for one query, an interval of keys.
#pragma once

#include <cstdint>
#include <optional>

#include "core/tensor.h"

namespace clausius::ops {

/// Query (b, i) sees keys [begin, end), both i32 [B, T], both ascending within a row; begin = end
/// where it sees none.
struct AttentionBounds {
  Tensor begin_BT;
  Tensor end_BT;
};

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
  /// The same in another form, on the device of the op: of query (b, i), its document's keys. One of the two at most.
  AttentionBounds documents{};
  /// i32 [B]: keys [0, length) of the row exist. Undefined: all S.
  Tensor key_lengths;
  /// Key position of query 0: S - T when decoding or continuing a prefill.
  std::int64_t query_offset = 0;
  /// Kept for block-sparse selection; refused (UnsupportedError) until that is built.
  Tensor block_list;
};

/// In the memory of `device`, whose host need not wait where the mask has neither cu_seqlens nor key_lengths; those may be in any
/// memory.
/// Errors: ShapeError, DtypeError, ConfigError naming the part of the mask; UnsupportedError for a
/// block list.
[[nodiscard]] AttentionBounds attention_bounds(const AttentionMask& mask,
                                               std::int64_t B,
                                               std::int64_t T,
                                               std::int64_t S,
                                               Device device = kCpu);

/// Keys that the query at `position` sees of [begin, end): the one formula of every device.
struct KeyInterval {
  std::int64_t begin;
  std::int64_t end;

  /// `window` 0: none.
  [[nodiscard]] constexpr KeyInterval seen_from(std::int64_t position,
                                                bool causal,
                                                std::int64_t window) const {
    KeyInterval keys = *this;
    if (causal && keys.end > position + 1) {
      keys.end = position + 1;
    }
    if (window > 0) {
      const std::int64_t oldest = position + 1 - window;
      keys.begin = keys.begin < oldest ? oldest : keys.begin;
      keys.end = window < keys.end - position ? position + window : keys.end;
    }
    // An empty interval stays inside the keys and keeps both borders ascending.
    const std::int64_t last = keys.end > 0 ? keys.end : 0;
    keys.begin = keys.begin < last ? keys.begin : last;
    return keys;
  }
};

/// Device code; null where the build has none.
struct AttentionMaskKernels {
  /// Fills begin and end from a mask without cu_seqlens and key_lengths, and S.
  void (*bounds)(const AttentionMask& mask, std::int64_t S, Tensor& begin_BT, Tensor& end_BT);
  /// counts = end - begin + sinks.
  void (*counts)(const AttentionBounds& bounds, std::int32_t sinks, Tensor& counts_BT);
};
AttentionMaskKernels& attention_mask_kernels();

/// Outcomes of each query's distribution, i32 [B, T]: its visible keys and `sinks` logits beside them. What normalises entropies (sum
/// of H over sum of ln n).
/// Memory, waiting and errors: as attention_bounds.
[[nodiscard]] Tensor attention_visible_counts(const AttentionMask& mask,
                                              std::int64_t B,
                                              std::int64_t T,
                                              std::int64_t S,
                                              Device device = kCpu,
                                              std::int32_t sinks = 0);

}  // namespace clausius::ops
