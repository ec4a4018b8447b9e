// SPDX-License-Identifier: Apache-2.0
// Data kind `tokens`: text that is tokenized already.
#pragma once

#include <string_view>

#include "data/language_config.h"
#include "data/token_formats.h"

namespace clausius {

struct TokensConfig : LanguageConfig {
  static constexpr std::string_view kDoc =
      "token stores, and token files of llm.c, nanoGPT and Megatron";
  TokenFormat format = TokenFormat::kAuto;
  TokenType token_dtype = TokenType::kU16;

  void visit(ConfigVisitor& v);
};

class TokensDataset final : public TokenDataset {
 public:
  /// Errors:  IoError, DataError naming the file.
  TokensDataset(const TokensConfig& config, const DataContext& context);
};

}  // namespace clausius
