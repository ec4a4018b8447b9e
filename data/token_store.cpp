// SPDX-License-Identifier: Apache-2.0
// Opening, checking and reading token stores.
#include "data/token_store.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/checked.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hash.h"
#include "core/parallel.h"
#include "data/tokenizer/sha256.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kScanGrain = std::int64_t{1} << 20;

// Blocks of fixed length let the compiler use vector instructions.
constexpr std::int64_t kBlock = 256;

template <class T>
T largest_of(const T* ids) {
  T largest = 0;
  for (std::int64_t k = 0; k < kBlock; ++k) {
    largest = std::max(largest, ids[k]);
  }
  return largest;
}

// The first id that is not below `limit`, or n.
template <class T>
std::int64_t first_not_below(const T* ids, std::int64_t n, std::int64_t limit) {
  std::int64_t i = 0;
  while (i + kBlock <= n && largest_of(ids + i) < limit) {
    i += kBlock;
  }
  while (i < n && ids[i] < limit) {
    ++i;
  }
  return i;
}

template <class T>
std::int64_t largest_of_all(const T* ids, std::int64_t n) {
  std::int64_t largest = -1;
  std::int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    largest = std::max<std::int64_t>(largest, largest_of(ids + i));
  }
  for (; i < n; ++i) {
    largest = std::max<std::int64_t>(largest, ids[i]);
  }
  return largest;
}

template <class T>
void check_ids(const TokenShard& shard, std::int64_t vocab_size) {
  if (vocab_size > std::int64_t{std::numeric_limits<T>::max()}) {
    return;  // no id of this type can be too large
  }
  const T* ids = shard.ids<T>();
  parallel_for(shard.tokens, kScanGrain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t bad = begin + first_not_below(ids + begin, end - begin, vocab_size);
    CLS_CHECK(bad == end, DataError, shard.token_file.path.native(), ": token ", bad, " (byte ",
              shard.header_bytes + bad * static_cast<std::int64_t>(sizeof(T)), ") is ", ids[bad],
              "; the vocabulary has ", vocab_size, " ids");
  });
}

void check_size(const MappedFile& file, std::int64_t expected, const std::string& why) {
  CLS_CHECK(static_cast<std::int64_t>(file.bytes().size()) == expected, DataError,
            file.path.native(), " has ", file.bytes().size(), " bytes; expected ", expected, ": ",
            why);
}

TokenShard map_shard(const fs::path& store, std::size_t number, const TokenIndex& index) {
  const TokenShardEntry& entry = index.shards[number];
  TokenShard shard;
  shard.type = index.type;
  shard.tokens = entry.tokens;
  shard.token_file = MappedFile(shard_path(store, number, "bin"));
  shard.document_file = MappedFile(shard_path(store, number, "doc"));
  check_size(shard.token_file, entry.tokens * size_of(index.type),
             fmt::format("{} tokens of {} in index.json", entry.tokens, word_of(index.type)));
  check_size(shard.document_file, (entry.documents + 1) * 8,
             fmt::format("{} documents in index.json", entry.documents));
  shard.offsets = {reinterpret_cast<const std::uint64_t*>(shard.document_file.bytes().data()),
                   static_cast<std::size_t>(entry.documents + 1)};
  return shard;
}

std::string read_tokenizer(const fs::path& store, const TokenIndex& index) {
  if (index.tokenizer_sha256.empty()) {
    return {};
  }
  const fs::path path = store / "tokenizer.json";
  std::string json = read_file(path);
  const std::string found = sha256_hex(json);
  CLS_CHECK(found == index.tokenizer_sha256, DataError, path.native(), " has sha256 ", found,
            "; index.json says ", index.tokenizer_sha256);
  return json;
}

void check_checksum(const MappedFile& file, const std::string& expected) {
  const std::string found = xxh3_128(file.bytes()).hex();
  CLS_CHECK(found == expected, DataError, file.path.native(), " has checksum ", found,
            "; index.json says ", expected);
}

}  // namespace

std::int64_t largest_id(const TokenShard& shard) {
  return shard.type == TokenType::kU16 ? largest_of_all(shard.ids<std::uint16_t>(), shard.tokens)
                                       : largest_of_all(shard.ids<std::uint32_t>(), shard.tokens);
}

MappedFile::MappedFile(fs::path file) : path(std::move(file)), storage(map_file(path)) {}

std::shared_ptr<const TokenStore> TokenStore::open(const fs::path& store) {
  return open(std::span(&store, 1));
}

std::shared_ptr<const TokenStore> TokenStore::open(std::span<const fs::path> stores) {
  TokenIndex joined;
  std::vector<TokenShard> shards;
  std::string tokenizer_json;
  for (const fs::path& store : stores) {
    const TokenIndex index = read_token_index(store);
    if (&store == stores.data()) {
      joined = index;
      joined.shards.clear();
      tokenizer_json = read_tokenizer(store, index);
    }
    CLS_CHECK(
        index.vocab_size == joined.vocab_size && index.tokenizer_sha256 == joined.tokenizer_sha256,
        DataError, store.native(), " has ", index.vocab_size, " ids and tokenizer '",
        index.tokenizer_sha256, "', but ", stores.front().native(), " has ", joined.vocab_size,
        " and '", joined.tokenizer_sha256,
        "'; stores that are read together must share their tokenizer");
    for (std::size_t number = 0; number < index.shards.size(); ++number) {
      shards.push_back(map_shard(store, number, index));
      joined.shards.push_back(index.shards[number]);
    }
  }
  return std::make_shared<const TokenStore>(std::move(joined), std::move(shards),
                                            std::move(tokenizer_json));
}

TokenStore::TokenStore(TokenIndex index, std::vector<TokenShard> shards, std::string tokenizer_json)
    : index_(std::move(index)),
      shards_(std::move(shards)),
      tokenizer_json_(std::move(tokenizer_json)) {
  for (const TokenShard& shard : shards_) {
    check_shard(shard);
    token_begin_.push_back(token_begin_.back() + shard.tokens);
    document_begin_.push_back(document_begin_.back() + shard.documents());
  }
}

void TokenStore::check_shard(const TokenShard& shard) const {
  const std::string& name =
      (shard.own_offsets.empty() ? shard.document_file : shard.token_file).path.native();
  CLS_CHECK(!shard.offsets.empty() && shard.offsets.front() == 0, DataError, name,
            ": document offsets do not start with 0");
  for (std::size_t i = 1; i < shard.offsets.size(); ++i) {
    CLS_CHECK(shard.offsets[i - 1] < shard.offsets[i], DataError, name, ": document ", i - 1,
              " spans tokens ", shard.offsets[i - 1], " to ", shard.offsets[i],
              "; expected at least one token");
  }
  CLS_CHECK(shard.offsets.back() == static_cast<std::uint64_t>(shard.tokens), DataError, name,
            ": the last document ends at token ", shard.offsets.back(), "; the shard has ",
            shard.tokens);
  if (shard.type == TokenType::kU16) {
    check_ids<std::uint16_t>(shard, vocab_size());
  } else {
    check_ids<std::uint32_t>(shard, vocab_size());
  }
}

void TokenStore::read(std::int64_t first, std::span<std::int32_t> out) const {
  CLS_ASSERT(first >= 0 && first + static_cast<std::int64_t>(out.size()) <= tokens());
  std::size_t done = 0;
  while (done < out.size()) {
    const std::int64_t position = first + static_cast<std::int64_t>(done);
    const auto number = static_cast<std::size_t>(std::ranges::upper_bound(token_begin_, position) -
                                                 token_begin_.begin()) -
                        1;
    const TokenShard& shard = shards_[number];
    const std::int64_t local = position - token_begin_[number];
    const std::size_t count =
        std::min(out.size() - done, static_cast<std::size_t>(shard.tokens - local));
    const auto copy = [&](const auto* ids) {
      std::transform(ids, ids + count, out.begin() + static_cast<std::ptrdiff_t>(done),
                     [](auto id) { return static_cast<std::int32_t>(id); });
    };
    if (shard.type == TokenType::kU16) {
      copy(shard.ids<std::uint16_t>() + local);
    } else {
      copy(shard.ids<std::uint32_t>() + local);
    }
    done += count;
  }
}

std::int64_t TokenStore::document_begin(std::int64_t document) const {
  CLS_ASSERT(document >= 0 && document <= documents());
  if (document == documents()) {
    return tokens();
  }
  const auto number = static_cast<std::size_t>(std::ranges::upper_bound(document_begin_, document) -
                                               document_begin_.begin()) -
                      1;
  const auto local = static_cast<std::size_t>(document - document_begin_[number]);
  return token_begin_[number] + static_cast<std::int64_t>(shards_[number].offsets[local]);
}

std::int64_t TokenStore::document_of(std::int64_t token) const {
  CLS_ASSERT(token >= 0 && token < tokens());
  const auto number = static_cast<std::size_t>(std::ranges::upper_bound(token_begin_, token) -
                                               token_begin_.begin()) -
                      1;
  const std::span<const std::uint64_t> offsets = shards_[number].offsets;
  const auto local = static_cast<std::uint64_t>(token - token_begin_[number]);
  return document_begin_[number] + (std::ranges::upper_bound(offsets, local) - offsets.begin()) - 1;
}

std::string TokenStore::fingerprint() const {
  std::string checksums;
  for (const TokenShardEntry& shard : index_.shards) {
    checksums += shard.tokens_xxh3 + shard.documents_xxh3;
  }
  return xxh3_128(checksums).hex();
}

void TokenStore::verify_checksums() const {
  for (std::size_t number = 0; number < shards_.size(); ++number) {
    check_checksum(shards_[number].token_file, index_.shards[number].tokens_xxh3);
    if (shards_[number].document_file.storage != nullptr) {
      check_checksum(shards_[number].document_file, index_.shards[number].documents_xxh3);
    }
  }
}

}  // namespace clausius
