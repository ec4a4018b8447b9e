// SPDX-License-Identifier: Apache-2.0
// index.json of a token store: what its shards hold.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"

namespace clausius {

enum class TokenType : std::uint8_t { kU16, kU32 };

constexpr auto words_of(TokenType /*unused*/) {
  return words("u16", "u32");
}

[[nodiscard]] constexpr std::int64_t size_of(TokenType type) {
  return type == TokenType::kU16 ? 2 : 4;
}

struct TokenShardEntry {
  std::int64_t tokens = 0;
  std::int64_t documents = 0;
  /// XXH3 (128 bits, as `xxhsum -H128` prints it) of the .bin and of the .doc file.
  std::string tokens_xxh3{};
  std::string documents_xxh3{};
};

/// A store is a folder NAME.tokens with index.json, tokenizer.json where the tokenizer is known, and per shard
/// shard_%05d.bin (token ids, little endian, no header) and shard_%05d.doc (u64: documents + 1 offsets into the
/// shard).
struct TokenIndex {
  TokenType type = TokenType::kU16;
  std::int64_t vocab_size = 0;
  std::optional<std::int32_t> eos_id;
  /// Identity of the tokenizer; empty when unknown.
  std::string tokenizer_sha256;
  /// Where the tokens came from, for people.
  std::string source;
  std::vector<TokenShardEntry> shards;
};

[[nodiscard]] std::filesystem::path shard_path(const std::filesystem::path& store,
                                               std::size_t shard,
                                               const char* suffix);

/// Errors:  IoError when it cannot be read; DataError naming the file and what is wrong in it.
[[nodiscard]] TokenIndex read_token_index(const std::filesystem::path& store);
[[nodiscard]] std::string token_index_json(const TokenIndex& index);

}  // namespace clausius
