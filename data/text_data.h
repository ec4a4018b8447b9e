// SPDX-License-Identifier: Apache-2.0
// Data kind `text`: plain text and jsonl.
#pragma once

#include <string_view>

#include "data/language_config.h"
#include "data/text_reader.h"
#include "data/tokenizer/tokenizer.h"

namespace clausius {

struct TextConfig : LanguageConfig {
  static constexpr std::string_view kDoc =
      "text files, turned into a token store beside them on first use";
  Choice<Tokenizer> tokenizer{"byte"};
  bool append_eos = true;
  TextRules text{};

  void visit(ConfigVisitor& v);
  [[nodiscard]] DataTraits facts() const;
};

class TextDataset final : public TokenDataset {
 public:
  /// Errors:  IoError, DataError naming the file.
  TextDataset(const TextConfig& config, const DataContext& context);
};

}  // namespace clausius
