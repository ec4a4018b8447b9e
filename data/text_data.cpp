// SPDX-License-Identifier: Apache-2.0
// Data kinds `text` and `tokens`.
#include "data/text_data.h"

#include "data/token_dataset.h"
#include "data/tokenizer/byte.h"

namespace clausius {

std::unique_ptr<Dataset> make_text_dataset(const TextDataConfig& config,
                                           const DataContext& context) {
  const ByteTokenizer tokenizer;
  const TextStoreRules rules{.text = config.text, .append_eos = config.append_eos};
  const auto open = [&](const SourcePart& part) {
    return TokenStore::open(cached_text_store(part.paths, rules, tokenizer, context.cache_folder));
  };
  TokenDatasetPlan plan{.validation_ratio = config.validation_ratio,
                        .packing = config.packing,
                        .context_length = config.context_length,
                        .shuffle = config.shuffle,
                        .seed = context.seed};
  for (const SourcePart& part : config.train) {
    plan.train.push_back({open(part), part.weight});
  }
  for (const SourcePart& part : config.validation) {
    plan.validation.push_back(open(part));
  }
  return std::make_unique<TokenDataset>(plan);
}

}  // namespace clausius
