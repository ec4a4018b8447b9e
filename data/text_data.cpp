// SPDX-License-Identifier: Apache-2.0
// Data kind `text`.
#include "data/text_data.h"

#include "data/text_store.h"

namespace clausius {
namespace {

TokenDatasetPlan plan_of(const TextConfig& config, const DataContext& context) {
  const std::unique_ptr<Tokenizer> tokenizer = context.tokenizer_json.empty()
                                                   ? config.tokenizer.make()
                                                   : Tokenizer::from_json(context.tokenizer_json);
  const TextStoreRules rules{.text = config.text, .append_eos = config.append_eos};
  const auto open = [&](const SourcePart& part) {
    return TokenStore::open(
        cached_text_store(part.paths, rules, *tokenizer, context.cache_folder, context.announce));
  };
  TokenDatasetPlan plan = config.plan(context);
  for (const SourcePart& part : parts_of(config.train)) {
    plan.train.push_back({open(part), part.weight});
  }
  if (config.validation) {
    plan.validation.push_back(open(parts_of(*config.validation).front()));
  }
  return plan;
}

CLS_REGISTER(Dataset, "text", TextDataset, TextConfig);

}  // namespace

void TextConfig::visit(ConfigVisitor& v) {
  LanguageConfig::visit(v);
  v.field("tokenizer", tokenizer, "how text becomes tokens");
  v.field("append_eos", append_eos, "end every document with the end-of-text token");
  v.field("format", text.format, "auto: jsonl by the ending .jsonl or .ndjson, else plain");
  v.field("text_key", text.text_key, "member of a jsonl object that holds the text");
  v.field("documents", text.documents, "what one document is in plain text");
}

TextDataset::TextDataset(const TextConfig& config, const DataContext& context)
    : TokenDataset(plan_of(config, context)) {}

}  // namespace clausius
