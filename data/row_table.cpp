// SPDX-License-Identifier: Apache-2.0
// Rows of documents, chunks and streams.
#include "data/row_table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/batch.h"
#include "core/checked.h"
#include "core/error.h"

namespace clausius {

RowTable::RowTable(TokenView view, Packing packing, std::int64_t context_length)
    : view_(std::move(view)), packing_(packing), context_length_(context_length) {
  CLS_CHECK(context_length >= 1, InternalError, "rows of ", context_length, " tokens");
  const std::int64_t tokens = view_.tokens();
  if (tokens < 2) {
    dropped_tokens_ = tokens;
    return;
  }
  padding_id_ = view_.store().eos_id().value_or(0);
  if (packing != Packing::kChunks) {
    // A last row that held nothing but the last token would have no target.
    rows_ = div_ceil(tokens - 1, context_length);
    dropped_tokens_ = tokens - std::min(tokens, rows_ * context_length);
    return;
  }
  view_.for_each_document(0, tokens, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t full = (end - begin - 1) / context_length;
    if (full > 0) {
      chunk_rows_.push_back(rows_);
      chunk_begins_.push_back(begin);
      rows_ += full;
    }
    // The token after a document's last full row is still read, as a target.
    dropped_tokens_ += end - begin - (full > 0 ? full * context_length + 1 : 0);
  });
}

std::int64_t RowTable::chunk_begin(std::int64_t row) const {
  const auto entry =
      static_cast<std::size_t>(std::ranges::upper_bound(chunk_rows_, row) - chunk_rows_.begin()) -
      1;
  return chunk_begins_[entry] + (row - chunk_rows_[entry]) * context_length_;
}

void RowTable::read(std::int64_t row,
                    const RowSlot& slot,
                    std::vector<std::int64_t>& borders) const {
  CLS_ASSERT(row >= 0 && row < rows_);
  read_consecutive(packing_ == Packing::kChunks ? chunk_begin(row) : row * context_length_, slot,
                   borders);
}

void RowTable::read_consecutive(std::int64_t begin,
                                const RowSlot& slot,
                                std::vector<std::int64_t>& borders) const {
  const std::int64_t length = std::min(context_length_, view_.tokens() - begin);
  const std::int64_t known_targets = std::min(context_length_, view_.tokens() - begin - 1);
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  view_.read(begin, slot.inputs.first(size(length)));
  std::ranges::fill(slot.inputs.subspan(size(length)), padding_id_);
  std::copy_n(slot.inputs.begin() + 1, std::max<std::int64_t>(length - 1, 0), slot.targets.begin());
  if (known_targets == length) {
    view_.read(begin + length, slot.targets.subspan(size(length - 1), 1));
  }
  std::ranges::fill(slot.targets.subspan(size(known_targets)), kIgnoredTarget);
  if (packing_ != Packing::kDocuments) {
    std::iota(slot.positions.begin(), slot.positions.end(), 0);
    return;
  }
  const std::int64_t read_end = begin + known_targets + 1;
  const auto add_piece = [&](std::int64_t first, std::int64_t last) {
    if (first > 0) {
      borders.push_back(first);
    }
    std::iota(slot.positions.begin() + first, slot.positions.begin() + last, 0);
  };
  view_.for_each_document(begin, read_end, [&](std::int64_t first, std::int64_t last) {
    first -= begin;
    last -= begin;
    if (first > 0) {
      slot.targets[size(first - 1)] = kIgnoredTarget;
    }
    if (first < length) {
      add_piece(first, std::min(last, length));
    }
  });
  if (length < context_length_) {
    add_piece(length, context_length_);
  }
}

}  // namespace clausius
