// SPDX-License-Identifier: Apache-2.0
// Which probabilities dropout keeps: the one formula that reference and kernels share.
#pragma once

#include <cstdint>

#include "core/checked.h"
#include "core/ops/attention/attention.h"

namespace clausius::ops {

/// Blocks of four keys in one row.
[[nodiscard]] inline std::int64_t dropout_blocks_per_row(std::int64_t S) {
  return div_ceil<std::int64_t>(S, 4);
}

/// Block of keys [4 (j / 4), 4 (j / 4) + 4) of row (h, i); the stream's sample is that of b.
[[nodiscard]] inline std::uint32_t dropout_block(const AttentionProblem& p,
                                                 std::int64_t h,
                                                 std::int64_t i,
                                                 std::int64_t j) {
  return static_cast<std::uint32_t>((h * p.T + i) * dropout_blocks_per_row(p.S) + j / 4);
}

/// A word below this number drops its probability.
[[nodiscard]] inline std::uint32_t dropout_threshold(double dropout) {
  return static_cast<std::uint32_t>(dropout * 0x1p32);
}

[[nodiscard]] inline RandomStream dropout_stream(const AttentionProblem& p, std::int64_t b) {
  RandomStream stream = p.dropout_stream;
  stream.sample = static_cast<std::uint32_t>(p.dropout_samples[b]);
  return stream;
}

}  // namespace clausius::ops
