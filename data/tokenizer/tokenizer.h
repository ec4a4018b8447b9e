// SPDX-License-Identifier: Apache-2.0
// Tokenizer: text to token ids and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/registry.h"

namespace clausius {

/// Immutable and thread-safe. Ids are 0 .. vocab_size() - 1.
class Tokenizer {
 public:
  Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  virtual ~Tokenizer() = default;

  [[nodiscard]] virtual std::string_view kind() const = 0;
  [[nodiscard]] virtual std::int64_t vocab_size() const = 0;
  /// Ends a document; absent where the tokenizer has no such token.
  [[nodiscard]] virtual std::optional<std::int32_t> eos_id() const = 0;
  [[nodiscard]] virtual std::optional<std::int32_t> bos_id() const = 0;
  /// True for ids that stand for no text.
  [[nodiscard]] virtual bool is_special(std::int32_t id) const = 0;
  /// What the token spells: its text bytes, or the name of a special token.
  /// Errors:  DataError for an unknown id.
  [[nodiscard]] virtual std::string_view spelling(std::int32_t id) const = 0;
  /// Appends the ids of `text`, which is taken literally: special tokens are never read out of it.
  virtual void encode_to(std::string_view text, std::vector<std::int32_t>& ids) const = 0;
  /// Bytes at the front of `text` whose ids cannot change with what follows, so that long texts are encoded in
  /// pieces.
  [[nodiscard]] virtual std::size_t settled_prefix(std::string_view text) const = 0;
  /// A complete tokenizer.json that other programs read too; from_json() brings the tokenizer back.
  [[nodiscard]] virtual std::string to_json() const = 0;

  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text) const;
  /// The text bytes of the ids; special tokens are left out unless asked for.
  /// Errors:  DataError for an unknown id.
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids,
                                   bool with_special = false) const;
  /// Text bytes of each id, 0 for special tokens: what bits per byte divides by.
  [[nodiscard]] std::vector<std::int32_t> byte_lengths() const;
  /// SHA-256 of to_json(): equal tokenizers have equal identities.
  [[nodiscard]] std::string sha256() const;

  /// The tokenizer that wrote this tokenizer.json.
  /// Errors:  DataError when no kind of this build reads it.
  [[nodiscard]] static std::unique_ptr<Tokenizer> from_json(std::string_view json);
};

/// What is known of a tokenizer before its files are opened. Configs may say it: `TokenizerTraits facts() const`.
struct TokenizerTraits {
  std::int64_t vocab_size = 0;  // 0 = not known yet
};

/// Kinds register themselves by name (recipe key data.tokenizer).
template <>
struct RegistryTraits<Tokenizer> {
  static constexpr std::string_view kFamily = "tokenizer";
  using Context = NoContext;
  using Facts = TokenizerTraits;
  using Make = std::unique_ptr<Tokenizer>();
};

/// How from_json() finds a kind: returns null for a file that is not its own. Register with CLS_TOKENIZER_READER.
using TokenizerReader = std::unique_ptr<Tokenizer> (*)(std::string_view json);

namespace detail {
struct TokenizerReaderRegistrar {
  explicit TokenizerReaderRegistrar(TokenizerReader reader);
};
}  // namespace detail
}  // namespace clausius

#define CLS_TOKENIZER_READER(name, reader) \
  static const ::clausius::detail::TokenizerReaderRegistrar name##_tokenizer_reader(reader)
