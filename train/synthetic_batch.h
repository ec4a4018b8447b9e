// SPDX-License-Identifier: Apache-2.0
// Batches of random tokens, for benchmarks and dry runs: shapes without data.
#pragma once

#include <cstdint>

#include "core/batch.h"

namespace clausius {

struct SyntheticBatch {
  std::int64_t rows = 1;
  std::int64_t context_length = 0;
  std::int64_t vocab_size = 0;
  std::uint64_t seed = 0;
};

/// Every row is one document; every token is drawn evenly, and every position has the next one as its target.
[[nodiscard]] Batch make_synthetic_batch(const SyntheticBatch& shape);

}  // namespace clausius
