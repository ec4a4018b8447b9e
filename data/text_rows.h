// SPDX-License-Identifier: Apache-2.0
// TextRows: batches of rows from one token view or a mixture of them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "data/row_table.h"
#include "data/sampler.h"

namespace clausius {

/// The sample sequence of language modelling. Rows are whatever the sampler says; a batch carries cu_seqlens when one
/// of its rows holds more than one document.
/// Cost:    a copy of the tokens; nothing is kept between reads.
class TextRows final : public SampleSequence {
 public:
  /// `byte_lengths` by token id, for Batch::target_bytes; empty when unknown.
  TextRows(std::vector<RowTable> parts, Sampler sampler, std::vector<std::int32_t> byte_lengths);

  [[nodiscard]] std::int64_t epoch_size() const override { return sampler_.epoch_size(); }
  [[nodiscard]] Batch read(std::int64_t first, std::int64_t count) const override;

 private:
  std::vector<RowTable> parts_;
  Sampler sampler_;
  std::vector<std::int32_t> byte_lengths_;
};

}  // namespace clausius
