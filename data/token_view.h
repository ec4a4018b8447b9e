// SPDX-License-Identifier: Apache-2.0
// TokenView: a part of a token store (its training or its validation documents) read as one text.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "data/token_store.h"

namespace clausius {

/// Consecutive tokens [begin, end) of a store.
struct TokenRun {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

/// Runs of a store, back to back; positions are in the view. A document that a run cuts is a document of its own
/// here.
/// Cost:    24 bytes a run.
class TokenView {
 public:
  TokenView() = default;
  /// The whole store.
  explicit TokenView(const std::shared_ptr<const TokenStore>& store);
  TokenView(std::shared_ptr<const TokenStore> store, const std::vector<TokenRun>& runs);

  [[nodiscard]] const TokenStore& store() const { return *store_; }
  [[nodiscard]] std::int64_t tokens() const { return starts_.back(); }
  /// Tokens [first, first + out.size()).
  void read(std::int64_t first, std::span<std::int32_t> out) const;
  /// Calls fn(begin, end) for each document that overlaps [first, last), cut to that range, in order.
  template <class Fn>
  void for_each_document(std::int64_t first, std::int64_t last, const Fn& fn) const;

 private:
  [[nodiscard]] std::size_t run_of(std::int64_t position) const;

  std::shared_ptr<const TokenStore> store_;
  std::vector<TokenRun> runs_;
  // Where each run starts in the view, then the number of tokens.
  std::vector<std::int64_t> starts_{0};
};

/// The documents of a store in two parts.
struct ValidationSplit {
  TokenView train;
  TokenView validation;
};

/// Sets aside about `ratio` of the tokens as whole documents, drawn in an order that depends on the number of
/// documents alone (so every seed has the same validation text). Documents that would exceed the share are passed
/// over. Where no document fits (a single document, or a few long ones) the tail of the longest is taken.
/// Errors:  DataError when the share is less than two tokens or leaves less than two.
[[nodiscard]] ValidationSplit split_validation(const std::shared_ptr<const TokenStore>& store,
                                               double ratio);

template <class Fn>
void TokenView::for_each_document(std::int64_t first, std::int64_t last, const Fn& fn) const {
  std::size_t run = 0;
  while (first < last) {
    run = run_of(first);
    const std::int64_t shift = starts_[run] - runs_[run].begin;
    const std::int64_t run_last = std::min(last, starts_[run + 1]);
    for (std::int64_t document = store_->document_of(first - shift); first < run_last; ++document) {
      const std::int64_t end = std::min(run_last, store_->document_begin(document + 1) + shift);
      fn(first, end);
      first = end;
    }
  }
}

}  // namespace clausius
