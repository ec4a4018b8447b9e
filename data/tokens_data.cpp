// SPDX-License-Identifier: Apache-2.0
// Data kind `tokens`.
#include "data/tokens_data.h"

namespace clausius {
namespace {

TokenDatasetPlan plan_of(const TokensConfig& config, const DataContext& context) {
  const auto open = [&](const SourcePart& part) {
    std::vector<std::filesystem::path> paths;
    for (const std::filesystem::path& path : part.paths) {
      const std::vector<std::filesystem::path> found = expand_token_paths(path);
      paths.insert(paths.end(), found.begin(), found.end());
    }
    return open_tokens(paths, config.format, config.token_dtype);
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

CLS_REGISTER(Dataset, "tokens", TokensDataset, TokensConfig);

}  // namespace

void TokensConfig::visit(ConfigVisitor& v) {
  LanguageConfig::visit(v);
  v.field("format", format, "auto: by what the path holds");
  v.field("token_dtype", token_dtype, "element type of files without a header");
}

TokensDataset::TokensDataset(const TokensConfig& config, const DataContext& context)
    : TokenDataset(plan_of(config, context)) {}

}  // namespace clausius
