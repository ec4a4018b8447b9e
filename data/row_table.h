// SPDX-License-Identifier: Apache-2.0
// RowTable: cuts a text of documents into rows of fixed length with their targets.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/config.h"
#include "data/token_view.h"

namespace clausius {

/// How documents become rows.
enum class Packing : std::uint8_t {
  /// Documents are laid end to end and cut. A piece of a document is a sequence of its own: its positions start at 0,
  /// nothing sees across its border, and its last token has a target only if the document goes on in the next row.
  /// Every token but a document's first is a target exactly once.
  kDocuments,
  /// Rows of context_length + 1 tokens of one document, stepping context_length. What is left of a document is
  /// dropped, so every row is full and none has a border.
  kChunks,
  /// As kDocuments, read as one text: every token but the very first is a target exactly once.
  kStream,
};
constexpr auto words_of(Packing /*unused*/) {
  return words("documents", "chunks", "stream");
}

/// Where one row goes; the spans have context_length elements.
struct RowSlot {
  std::span<std::int32_t> inputs;
  std::span<std::int32_t> targets;
  std::span<std::int32_t> positions;
};

/// Rows by number, without a table of rows. In kDocuments and kStream the last row is padded rather than dropped: no
/// token is lost, a text shorter than a row can be trained on, and evaluation scores all of it. Padding holds the
/// end-of-text id (or 0), has no targets and is a document of its own in kDocuments.
/// Cost:    kDocuments, kStream: no memory, a row is one copy and two binary searches; kChunks: 16 bytes a document.
class RowTable {
 public:
  RowTable(TokenView view, Packing packing, std::int64_t context_length);

  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t context_length() const { return context_length_; }
  [[nodiscard]] const TokenView& view() const { return view_; }
  /// Tokens that no row reads: tails in kChunks, the last token of a text that ends with a row, else none.
  [[nodiscard]] std::int64_t dropped_tokens() const { return dropped_tokens_; }
  /// Fills a row and appends to `borders` where documents after the first start in it.
  void read(std::int64_t row, const RowSlot& slot, std::vector<std::int64_t>& borders) const;

 private:
  void read_consecutive(std::int64_t begin,
                        const RowSlot& slot,
                        std::vector<std::int64_t>& borders) const;
  [[nodiscard]] std::int64_t chunk_begin(std::int64_t row) const;

  TokenView view_;
  Packing packing_;
  std::int64_t context_length_;
  std::int64_t rows_ = 0;
  std::int64_t dropped_tokens_ = 0;
  std::int32_t padding_id_ = 0;
  // kChunks: the documents that hold a row, as first rows and first tokens.
  std::vector<std::int64_t> chunk_rows_;
  std::vector<std::int64_t> chunk_begins_;
};

}  // namespace clausius
