// SPDX-License-Identifier: Apache-2.0
// TokenDataset: language modelling on token stores, whatever they were made from.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/row_table.h"
#include "data/text_rows.h"
#include "data/token_store.h"

namespace clausius {

/// A part of the training mixture.
struct TokenPart {
  std::shared_ptr<const TokenStore> store;
  double weight = 1.0;
};

struct TokenDatasetPlan {
  std::vector<TokenPart> train{};
  /// Stores that are only evaluated; empty: `validation_ratio` of each training part is set aside.
  std::vector<std::shared_ptr<const TokenStore>> validation{};
  double validation_ratio = 0.0;
  Packing packing = Packing::kDocuments;
  std::int64_t context_length = 0;
  bool shuffle = true;
  std::uint64_t seed = 0;
};

/// Training draws from the parts by weight; validation reads every row of every part once, in an order that is the
/// same for every run.
/// Errors:  DataError when a part has no row, or parts differ in vocabulary or tokenizer.
class TokenDataset : public Dataset {
 public:
  explicit TokenDataset(const TokenDatasetPlan& plan);

  [[nodiscard]] const DataFacts& facts() const override { return facts_; }
  [[nodiscard]] const SampleSequence& train() const override { return *train_; }
  [[nodiscard]] const SampleSequence* validation() const override { return validation_.get(); }
  [[nodiscard]] const Tokenizer* tokenizer() const override { return tokenizer_.get(); }
  [[nodiscard]] std::string summary() const override { return summary_; }

 private:
  DataFacts facts_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<TextRows> train_;
  std::unique_ptr<TextRows> validation_;
  std::string summary_;
};

}  // namespace clausius
