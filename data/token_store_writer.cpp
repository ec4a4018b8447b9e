// SPDX-License-Identifier: Apache-2.0
// Shards on disk: buffered, hashed, synced, renamed.
#include "data/token_store_writer.h"

#include <bit>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "core/checked.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hash.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little,
              "token stores are little endian and are mapped as they are");

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

// A new file, buffered and hashed as it grows.
class HashedFile {
 public:
  explicit HashedFile(const fs::path& path) : file_(path, O_WRONLY | O_CREAT | O_TRUNC) {
    buffer_.reserve(kBufferBytes);
  }

  template <class T>
  void put(T value) {
    if (buffer_.size() + sizeof(T) > kBufferBytes) {
      flush();
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    buffer_.insert(buffer_.end(), bytes, bytes + sizeof(T));
  }

  void put_text(std::string_view text) {
    for (const char c : text) {
      put(c);
    }
  }

  // Checksum of the whole file, which is then on disk.
  std::string close() {
    flush();
    file_.sync();
    file_.close();
    return hasher_.digest().hex();
  }

 private:
  void flush() {
    hasher_.update(buffer_);
    file_.write(buffer_);
    buffer_.clear();
  }

  FileDescriptor file_;
  Hasher hasher_;
  std::vector<std::byte> buffer_;
};

void write_text(const fs::path& path, std::string_view text) {
  HashedFile file(path);
  file.put_text(text);
  static_cast<void>(file.close());
}

}  // namespace

struct TokenStoreWriter::State {
  fs::path store;
  fs::path building;
  TokenIndex index;
  std::string tokenizer_json;
  std::int64_t shard_limit;
  std::unique_ptr<HashedFile> tokens;
  std::unique_ptr<HashedFile> documents;
  TokenShardEntry shard;
  std::int64_t document_begin = 0;
  bool published = false;

  void open_shard() {
    const std::size_t number = index.shards.size();
    tokens = std::make_unique<HashedFile>(shard_path(building, number, "bin"));
    documents = std::make_unique<HashedFile>(shard_path(building, number, "doc"));
    documents->put(std::uint64_t{0});
    shard = {};
    document_begin = 0;
  }
  void close_shard() {
    shard.tokens_xxh3 = tokens->close();
    shard.documents_xxh3 = documents->close();
    index.shards.push_back(shard);
    tokens.reset();
    documents.reset();
  }
};

TokenStoreWriter::TokenStoreWriter(fs::path store,
                                   const Tokenizer& tokenizer,
                                   std::string source,
                                   std::int64_t shard_tokens)
    : TokenStoreWriter(std::move(store),
                       tokenizer.vocab_size(),
                       tokenizer.eos_id(),
                       std::move(source),
                       shard_tokens) {
  state_->tokenizer_json = tokenizer.to_json();
  state_->index.tokenizer_sha256 = tokenizer.sha256();
}

TokenStoreWriter::TokenStoreWriter(fs::path store,
                                   std::int64_t vocab_size,
                                   std::optional<std::int32_t> eos_id,
                                   std::string source,
                                   std::int64_t shard_tokens)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  CLS_CHECK(vocab_size >= 1, DataError, "a token store with a vocabulary of ", vocab_size);
  CLS_CHECK(!fs::exists(store), IoError, store.native(), " exists already");
  s.building = store.native() + ".building-" + std::to_string(::getpid());
  s.store = std::move(store);
  s.index.type = vocab_size <= 65536 ? TokenType::kU16 : TokenType::kU32;
  s.index.vocab_size = vocab_size;
  s.index.eos_id = eos_id;
  s.index.source = std::move(source);
  s.shard_limit = shard_tokens;
  std::error_code failure;
  fs::remove_all(s.building, failure);
  fs::create_directories(s.building, failure);
  CLS_CHECK(!failure, IoError, "cannot create ", s.building.native(), ": ", failure.message());
}

TokenStoreWriter::~TokenStoreWriter() {
  if (!state_->published) {
    std::error_code ignored;
    fs::remove_all(state_->building, ignored);
  }
}

void TokenStoreWriter::append(std::span<const std::int32_t> ids) {
  State& s = *state_;
  if (ids.empty()) {
    return;
  }
  if (!s.tokens) {
    s.open_shard();
  }
  for (const std::int32_t id : ids) {
    CLS_CHECK(id >= 0 && id < s.index.vocab_size, DataError, "token ", s.shard.tokens, " of shard ",
              s.index.shards.size(), " is ", id, "; the vocabulary has ", s.index.vocab_size);
    if (s.index.type == TokenType::kU16) {
      s.tokens->put(static_cast<std::uint16_t>(id));
    } else {
      s.tokens->put(static_cast<std::uint32_t>(id));
    }
    ++s.shard.tokens;
  }
}

std::int64_t TokenStoreWriter::document_tokens() const {
  return state_->tokens ? state_->shard.tokens - state_->document_begin : 0;
}

void TokenStoreWriter::end_document() {
  State& s = *state_;
  if (document_tokens() == 0) {
    return;
  }
  s.document_begin = s.shard.tokens;
  s.documents->put(static_cast<std::uint64_t>(s.shard.tokens));
  ++s.shard.documents;
  if (s.shard.tokens >= s.shard_limit) {
    s.close_shard();
  }
}

void TokenStoreWriter::publish() {
  State& s = *state_;
  end_document();
  if (s.tokens) {
    s.close_shard();
  }
  if (!s.tokenizer_json.empty()) {
    write_text(s.building / "tokenizer.json", s.tokenizer_json);
  }
  write_text(s.building / "index.json", token_index_json(s.index));
  sync_directory(s.building);
  std::error_code failure;
  fs::rename(s.building, s.store, failure);  // refuses to replace a folder that is not empty
  CLS_CHECK(!failure, IoError, "cannot rename ", s.building.native(), " to ", s.store.native(),
            ": ", failure.message());
  s.published = true;
  sync_directory(s.store.parent_path());
}

}  // namespace clausius
