// SPDX-License-Identifier: Apache-2.0
// Writes a token store of any size with little memory; it appears whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "data/token_index.h"
#include "data/tokenizer/tokenizer.h"

namespace clausius {

/// Use: append() ids of a document, end_document(), .. , publish(). Documents never cross shards.
/// Cost:    a buffer of 1 MiB; files are hashed while they are written.
class TokenStoreWriter {
 public:
  static constexpr std::int64_t kShardTokens = std::int64_t{1} << 28;

  /// Builds in a temporary folder beside `store`. Ids are written as u16 where the vocabulary fits, else as u32.
  /// Errors:  IoError when `store` exists or the folder cannot be made; DataError for an empty vocabulary.
  TokenStoreWriter(std::filesystem::path store,
                   const Tokenizer& tokenizer,
                   std::string source,
                   std::int64_t shard_tokens = kShardTokens);
  /// Ids whose tokenizer is unknown.
  TokenStoreWriter(std::filesystem::path store,
                   std::int64_t vocab_size,
                   std::optional<std::int32_t> eos_id,
                   std::string source,
                   std::int64_t shard_tokens = kShardTokens);
  /// Removes what was not published.
  ~TokenStoreWriter();
  TokenStoreWriter(const TokenStoreWriter&) = delete;
  TokenStoreWriter& operator=(const TokenStoreWriter&) = delete;

  /// Errors:  DataError for an id outside the vocabulary; IoError when the disk is full.
  void append(std::span<const std::int32_t> ids);
  /// Tokens of the document being written.
  [[nodiscard]] std::int64_t document_tokens() const;
  /// A document without tokens is left out.
  void end_document();
  /// Ends the last document, syncs the files and gives the store its name.
  /// Errors:  IoError; also when another process published a store of that name meanwhile (then ours is removed).
  void publish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace clausius
