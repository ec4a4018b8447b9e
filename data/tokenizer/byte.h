// SPDX-License-Identifier: Apache-2.0
// The byte tokenizer: one token a byte, and one that ends a document. Needs no file and no training.
#pragma once

#include "data/tokenizer/tokenizer.h"

namespace clausius {

struct ByteTokenizerConfig {
  static constexpr std::string_view kDoc = "one token a byte, and one that ends a document";
  static TokenizerTraits facts() { return {.vocab_size = 257}; }
  void visit(ConfigVisitor& /*v*/) {}
};

/// Id b is byte b; id 256 is <|endoftext|>. Every byte sequence comes back unchanged, valid UTF-8 or not.
class ByteTokenizer final : public Tokenizer {
 public:
  static constexpr std::int32_t kEndOfText = 256;

  ByteTokenizer() = default;
  explicit ByteTokenizer(const ByteTokenizerConfig& /*config*/) {}

  [[nodiscard]] std::string_view kind() const override { return "byte"; }
  [[nodiscard]] std::int64_t vocab_size() const override {
    return ByteTokenizerConfig::facts().vocab_size;
  }
  [[nodiscard]] std::optional<std::int32_t> eos_id() const override { return kEndOfText; }
  [[nodiscard]] std::optional<std::int32_t> bos_id() const override { return std::nullopt; }
  [[nodiscard]] bool is_special(std::int32_t id) const override { return id == kEndOfText; }
  [[nodiscard]] std::string_view spelling(std::int32_t id) const override;
  void encode_to(std::string_view text, std::vector<std::int32_t>& ids) const override;
  [[nodiscard]] std::size_t settled_prefix(std::string_view text) const override {
    return text.size();
  }
  /// A byte-level BPE without merges, which inference engines load as it is.
  [[nodiscard]] std::string to_json() const override;
};

}  // namespace clausius
