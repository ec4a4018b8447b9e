// SPDX-License-Identifier: Apache-2.0
// Splitting, packing and sampling the parts of a language modelling data set.
#include "data/token_dataset.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/io/hash.h"

namespace clausius {
namespace {

struct Views {
  std::vector<TokenView> train;
  std::vector<double> weights;
  std::vector<TokenView> validation;
};

Views split_parts(const TokenDatasetPlan& plan) {
  Views views;
  for (const TokenPart& part : plan.train) {
    views.weights.push_back(part.weight);
    if (plan.validation.empty() && plan.validation_ratio > 0.0) {
      ValidationSplit split = split_validation(part.store, plan.validation_ratio);
      views.train.push_back(std::move(split.train));
      views.validation.push_back(std::move(split.validation));
    } else {
      views.train.emplace_back(part.store);
    }
  }
  for (const std::shared_ptr<const TokenStore>& store : plan.validation) {
    views.validation.emplace_back(store);
  }
  return views;
}

void check_same_tokenizer(const TokenStore& first, const TokenStore& other) {
  const std::string& identity = first.index().tokenizer_sha256;
  CLS_CHECK(other.index().tokenizer_sha256 == identity, DataError, "tokens of ",
            other.index().source, " have tokenizer '", other.index().tokenizer_sha256,
            "', those of ", first.index().source, " have '", identity,
            "'; parts of a data set must share their tokenizer");
}

std::vector<const TokenStore*> stores_of(const TokenDatasetPlan& plan) {
  std::vector<const TokenStore*> stores;
  for (const TokenPart& part : plan.train) {
    stores.push_back(part.store.get());
  }
  for (const std::shared_ptr<const TokenStore>& store : plan.validation) {
    stores.push_back(store.get());
  }
  return stores;
}

struct Rows {
  std::vector<RowTable> tables;
  std::vector<std::int64_t> counts;
  std::int64_t tokens = 0;
  std::int64_t dropped = 0;
  std::int64_t total = 0;
};

Rows cut_rows(std::vector<TokenView> views, const TokenDatasetPlan& plan, const char* key) {
  Rows rows;
  for (TokenView& view : views) {
    const RowTable& table =
        rows.tables.emplace_back(std::move(view), plan.packing, plan.context_length);
    const TokenStore& store = table.view().store();
    CLS_CHECK(table.rows() > 0, DataError, "data.", key, ": ", store.index().source, " has ",
              table.view().tokens(), " tokens in ", store.documents(),
              store.documents() == 1 ? " document" : " documents", " but no row: a row of packing ",
              word_of(plan.packing), " needs ",
              plan.packing == Packing::kChunks ? concat("a document of ", plan.context_length + 1)
                                               : "at least 2",
              " tokens");
    rows.counts.push_back(table.rows());
    rows.tokens += table.view().tokens();
    rows.dropped += table.dropped_tokens();
    rows.total += table.rows();
  }
  return rows;
}

std::string describe(const char* name, const Rows& rows, const TokenDatasetPlan& plan) {
  std::string text = concat(name, " ", rows.tokens, " tokens in ", rows.total,
                            rows.total == 1 ? " row" : " rows", " of ", plan.context_length);
  if (plan.packing == Packing::kChunks) {
    text += concat(" (", rows.dropped, " tokens in tails dropped)");
  }
  return text;
}

// Hash of the checksums of every store.
std::string fingerprint_of(const TokenDatasetPlan& plan) {
  std::string parts;
  for (const TokenStore* store : stores_of(plan)) {
    parts += store->fingerprint();
  }
  return xxh3_128(parts).hex();
}

}  // namespace

TokenDataset::TokenDataset(const TokenDatasetPlan& plan) {
  CLS_CHECK(!plan.train.empty(), InternalError, "a token data set without a part");
  const TokenStore& first = *plan.train.front().store;
  for (const TokenStore* store : stores_of(plan)) {
    check_same_tokenizer(first, *store);
    facts_.vocab_size =
        std::max(facts_.vocab_size, store->vocab_size());  // where it is unknown, what the ids need
  }
  facts_.fingerprint = fingerprint_of(plan);
  std::vector<std::int32_t> byte_lengths;
  if (!first.tokenizer_json().empty()) {
    tokenizer_ = Tokenizer::from_json(first.tokenizer_json());
    byte_lengths = tokenizer_->byte_lengths();
  }
  Views views = split_parts(plan);
  Rows train = cut_rows(std::move(views.train), plan, "train");
  facts_.context_length = plan.context_length;
  facts_.train_samples = train.total;
  summary_ = describe("train", train, plan);
  train_ = std::make_unique<TextRows>(
      std::move(train.tables),
      train.counts.size() == 1
          ? Sampler::joined(train.counts, plan.shuffle, plan.seed, "data_order")
          : Sampler::mixture(train.counts, views.weights, plan.shuffle, plan.seed, "data_order"),
      byte_lengths);
  if (!views.validation.empty()) {
    Rows validation = cut_rows(std::move(views.validation), plan,
                               plan.validation.empty() ? "validation_ratio" : "validation");
    facts_.validation_samples = validation.total;
    summary_ += "; " + describe("validation", validation, plan);
    // Shuffled with a fixed seed: an evaluation that stops early has seen a fair part, the same one in every run.
    validation_ = std::make_unique<TextRows>(
        std::move(validation.tables),
        Sampler::joined(validation.counts, true, 0, "validation_order"), std::move(byte_lengths));
  }
}

}  // namespace clausius
