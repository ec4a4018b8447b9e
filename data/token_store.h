// SPDX-License-Identifier: Apache-2.0
// TokenStore: documents of token ids on disk, read as one long sequence.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/storage.h"
#include "data/token_index.h"

namespace clausius {

/// A file mapped read-only that knows its name.
struct MappedFile {
  std::filesystem::path path{};
  std::shared_ptr<Storage> storage{};

  MappedFile() = default;
  /// Errors:  IoError naming the file.
  explicit MappedFile(std::filesystem::path file);
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {storage->data(), storage->bytes()};
  }
};

/// One mapped file of token ids and the offsets of its documents.
struct TokenShard {
  MappedFile token_file;
  MappedFile document_file;
  /// Where the ids start in token_file.
  std::int64_t header_bytes = 0;
  TokenType type = TokenType::kU16;
  std::int64_t tokens = 0;
  /// documents + 1 offsets into the shard: a window on document_file, or on `own_offsets`.
  std::span<const std::uint64_t> offsets;
  std::vector<std::uint64_t> own_offsets;

  [[nodiscard]] std::int64_t documents() const {
    return static_cast<std::int64_t>(offsets.size()) - 1;
  }
  template <class T>
  [[nodiscard]] const T* ids() const {
    return reinterpret_cast<const T*>(token_file.bytes().data() + header_bytes);
  }
};

/// The largest id of a shard; -1 without tokens. Ids of 2^31 and above come back as they are.
[[nodiscard]] std::int64_t largest_id(const TokenShard& shard);

/// The documents of one or more shards, back to back; every position below is in this sequence. Immutable,
/// thread-safe, mapped: opening reads the files once (all ids are checked against the vocabulary), later reads touch
/// only their pages.
class TokenStore {
 public:
  /// Opens NAME.tokens.
  /// Errors:  IoError for a missing file; DataError naming file, size found and size expected, an id beyond the
  ///          vocabulary, or document offsets that do not rise to the number of tokens.
  [[nodiscard]] static std::shared_ptr<const TokenStore> open(const std::filesystem::path& store);
  /// Several stores read one after the other.
  /// Errors:  as above; DataError when their tokenizers or vocabularies differ.
  [[nodiscard]] static std::shared_ptr<const TokenStore> open(
      std::span<const std::filesystem::path> stores);
  /// Shards that a reader of another format mapped.
  /// Errors:  DataError as above.
  TokenStore(TokenIndex index, std::vector<TokenShard> shards, std::string tokenizer_json);

  [[nodiscard]] std::int64_t tokens() const { return token_begin_.back(); }
  [[nodiscard]] std::int64_t documents() const { return document_begin_.back(); }
  [[nodiscard]] std::int64_t vocab_size() const { return index_.vocab_size; }
  [[nodiscard]] std::optional<std::int32_t> eos_id() const { return index_.eos_id; }
  [[nodiscard]] const TokenIndex& index() const { return index_; }
  /// Empty when the tokenizer is unknown.
  [[nodiscard]] const std::string& tokenizer_json() const { return tokenizer_json_; }

  /// Tokens [first, first + out.size()).
  void read(std::int64_t first, std::span<std::int32_t> out) const;
  /// First token of a document; document_begin(documents()) == tokens().
  [[nodiscard]] std::int64_t document_begin(std::int64_t document) const;
  /// The document that holds a token.
  /// Cost:    two binary searches.
  [[nodiscard]] std::int64_t document_of(std::int64_t token) const;

  /// Hash of the checksums of all files, in order: equal for equal tokens and documents.
  [[nodiscard]] std::string fingerprint() const;
  /// Compares every file with the checksum in its index (of other formats: with the one it had when it was opened).
  /// Errors:  DataError naming the first file that differs.
  void verify_checksums() const;

 private:
  void check_shard(const TokenShard& shard) const;

  TokenIndex index_;
  std::vector<TokenShard> shards_;
  std::string tokenizer_json_;
  // Running totals over shards, one longer than shards_.
  std::vector<std::int64_t> token_begin_{0};
  std::vector<std::int64_t> document_begin_{0};
};

}  // namespace clausius
