// SPDX-License-Identifier: Apache-2.0
// Views of token stores, and the choice of validation documents.
#include "data/token_view.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "data/permutation.h"

namespace clausius {

TokenView::TokenView(const std::shared_ptr<const TokenStore>& store)
    : TokenView(store, {{0, store->tokens()}}) {}

TokenView::TokenView(std::shared_ptr<const TokenStore> store, const std::vector<TokenRun>& runs)
    : store_(std::move(store)) {
  for (const TokenRun& run : runs) {
    if (run.begin < run.end) {
      runs_.push_back(run);
      starts_.push_back(starts_.back() + run.end - run.begin);
    }
  }
}

std::size_t TokenView::run_of(std::int64_t position) const {
  return static_cast<std::size_t>(std::ranges::upper_bound(starts_, position) - starts_.begin()) -
         1;
}

void TokenView::read(std::int64_t first, std::span<std::int32_t> out) const {
  CLS_ASSERT(first >= 0 && first + static_cast<std::int64_t>(out.size()) <= tokens());
  while (!out.empty()) {
    const std::size_t run = run_of(first);
    const auto count = std::min(static_cast<std::int64_t>(out.size()), starts_[run + 1] - first);
    store_->read(first - starts_[run] + runs_[run].begin,
                 out.first(static_cast<std::size_t>(count)));
    out = out.subspan(static_cast<std::size_t>(count));
    first += count;
  }
}

namespace {

// Enough of the share to stop looking for a document that fills the rest exactly.
constexpr double kFilled = 0.9;

// Whole documents that together hold at most `share` tokens, ascending.
std::vector<std::int64_t> choose_documents(const TokenStore& store, std::int64_t share) {
  const Permutation order(store.documents(),
                          RandomStream{.seed = 0, .stream = stream_of("validation_split")});
  const double enough = kFilled * static_cast<double>(share);
  std::vector<std::int64_t> chosen;
  std::int64_t taken = 0;
  for (std::int64_t i = 0; i < store.documents() && static_cast<double>(taken) < enough; ++i) {
    const std::int64_t document = order(i);
    const std::int64_t tokens = store.document_begin(document + 1) - store.document_begin(document);
    if (taken + tokens <= share) {
      taken += tokens;
      chosen.push_back(document);
    }
  }
  std::ranges::sort(chosen);
  return chosen;
}

std::int64_t longest_document(const TokenStore& store) {
  std::int64_t longest = 0;
  std::int64_t most = 0;
  for (std::int64_t document = 0; document < store.documents(); ++document) {
    const std::int64_t tokens = store.document_begin(document + 1) - store.document_begin(document);
    if (tokens > most) {
      most = tokens;
      longest = document;
    }
  }
  return longest;
}

}  // namespace

ValidationSplit split_validation(const std::shared_ptr<const TokenStore>& store, double ratio) {
  const std::int64_t total = store->tokens();
  const auto share = static_cast<std::int64_t>(std::llround(ratio * static_cast<double>(total)));
  CLS_CHECK(share >= 2 && total - share >= 2, DataError, "data.validation_ratio ", ratio, " of ",
            total, " tokens is ", share,
            "; training and validation need at least 2 tokens each: change the ratio, set it to 0, "
            "or give "
            "data.validation");
  std::vector<TokenRun> held_out;
  for (const std::int64_t document : choose_documents(*store, share)) {
    held_out.push_back({store->document_begin(document), store->document_begin(document + 1)});
  }
  if (held_out.empty()) {
    const std::int64_t end = store->document_begin(longest_document(*store) + 1);
    held_out.push_back({end - share, end});
  }
  std::vector<TokenRun> rest;
  std::int64_t begin = 0;
  for (const TokenRun& run : held_out) {
    rest.push_back({begin, run.begin});
    begin = run.end;
  }
  rest.push_back({begin, total});
  return {TokenView(store, rest), TokenView(store, held_out)};
}

}  // namespace clausius
