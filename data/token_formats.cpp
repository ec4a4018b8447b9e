// SPDX-License-Identifier: Apache-2.0
// llm.c, nanoGPT and Megatron token files.
#include "data/token_formats.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hash.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;

constexpr std::int32_t kGpt2EndOfText = 50256;

// The token that separates documents, and on which side of it they part.
struct Separator {
  std::int32_t id = 0;
  bool starts_document = false;
};

// Documents between separators. Empty ones cannot arise: the separator itself belongs to a document.
template <class T>
std::vector<std::uint64_t> offsets_between(const T* ids,
                                           std::int64_t n,
                                           const Separator& separator) {
  std::vector<std::uint64_t> offsets = {0};
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t border = i + (separator.starts_document ? 0 : 1);
    if (static_cast<std::int64_t>(ids[i]) == separator.id && border > 0 && border < n) {
      offsets.push_back(static_cast<std::uint64_t>(border));
    }
  }
  if (n > 0) {
    offsets.push_back(static_cast<std::uint64_t>(n));
  }
  return offsets;
}

void set_offsets(TokenShard& shard, std::vector<std::uint64_t> offsets) {
  shard.own_offsets = std::move(offsets);
  shard.offsets = shard.own_offsets;
}

void split_documents(TokenShard& shard, const std::optional<Separator>& separator) {
  const Separator never{.id = -1};
  set_offsets(
      shard,
      shard.type == TokenType::kU16
          ? offsets_between(shard.ids<std::uint16_t>(), shard.tokens, separator.value_or(never))
          : offsets_between(shard.ids<std::uint32_t>(), shard.tokens, separator.value_or(never)));
}

// What a header of llm.c promises.
struct LlmCKind {
  std::int32_t magic;
  std::int32_t version;
  TokenType type;
  std::int64_t vocab_size;
  Separator separator;
};
constexpr std::array kLlmCKinds = {
    LlmCKind{20240520, 1, TokenType::kU16, 50257, {kGpt2EndOfText, false}},
    LlmCKind{20240801, 7, TokenType::kU32, 128256, {128000, true}}};
constexpr std::int64_t kLlmCHeader = 1024;

const LlmCKind* llm_c_kind(std::span<const std::byte> start) {
  std::int32_t magic = 0;
  if (start.size() >= kLlmCHeader) {
    std::memcpy(&magic, start.data(), sizeof(magic));
  }
  const auto* kind = std::ranges::find(kLlmCKinds, magic, &LlmCKind::magic);
  return kind == kLlmCKinds.end() ? nullptr : kind;
}

struct OpenedShard {
  TokenShard shard;
  std::optional<std::int64_t> vocab_size{};
  std::optional<std::int32_t> eos_id{};
};

OpenedShard open_llm_c(const fs::path& path) {
  OpenedShard opened;
  opened.shard.token_file = MappedFile(path);
  const std::span<const std::byte> bytes = opened.shard.token_file.bytes();
  const LlmCKind* kind = llm_c_kind(bytes);
  CLS_CHECK(kind != nullptr, DataError, path.native(),
            " has no header of llm.c; expected one that starts with 20240520 or 20240801");
  std::array<std::int32_t, 3> header{};
  std::memcpy(header.data(), bytes.data(), sizeof(header));
  CLS_CHECK(header[1] == kind->version, DataError, path.native(), ": version ", header[1],
            " of header ", kind->magic, "; expected ", kind->version);
  const std::int64_t expected = kLlmCHeader + header[2] * size_of(kind->type);
  CLS_CHECK(header[2] >= 0 && static_cast<std::int64_t>(bytes.size()) == expected, DataError,
            path.native(), " has ", bytes.size(), " bytes; expected ", expected, ": ", header[2],
            " tokens of ", word_of(kind->type), " in its header");
  opened.shard.header_bytes = kLlmCHeader;
  opened.shard.type = kind->type;
  opened.shard.tokens = header[2];
  opened.vocab_size = kind->vocab_size;
  opened.eos_id = kind->separator.id;
  split_documents(opened.shard, kind->separator);
  return opened;
}

OpenedShard open_bare(const fs::path& path, TokenType type) {
  OpenedShard opened;
  opened.shard.token_file = MappedFile(path);
  const auto bytes = static_cast<std::int64_t>(opened.shard.token_file.bytes().size());
  CLS_CHECK(bytes > 0 && bytes % size_of(type) == 0, DataError, path.native(), " has ", bytes,
            " bytes; expected bare ids of ", word_of(type), ", ", size_of(type),
            " bytes each (data.token_dtype)");
  opened.shard.type = type;
  opened.shard.tokens = bytes / size_of(type);
  std::optional<Separator> separator;
  if (largest_id(opened.shard) == kGpt2EndOfText) {
    separator = Separator{.id = kGpt2EndOfText};
    opened.eos_id = kGpt2EndOfText;
  }
  split_documents(opened.shard, separator);
  return opened;
}

// The two files behind NAME, NAME.bin or NAME.idx.
std::pair<fs::path, fs::path> megatron_files(const fs::path& path) {
  const bool named = path.extension() == ".bin" || path.extension() == ".idx";
  const std::string stem = named ? fs::path(path).replace_extension().native() : path.native();
  return {stem + ".bin", stem + ".idx"};
}

// Reads the unaligned fields of an .idx file.
class IndexReader {
 public:
  explicit IndexReader(const fs::path& path) : path_(path), bytes_(read_file(path)) {}
  template <class T>
  T next() {
    T value{};
    need(sizeof(T));
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  template <class T>
  std::vector<T> list(std::uint64_t count) {
    CLS_CHECK(count <= bytes_.size() / sizeof(T), DataError, path_.native(), " has ", bytes_.size(),
              " bytes; its header promises lists of ", count, " entries");
    need(count * sizeof(T));
    std::vector<T> values(count);
    std::memcpy(values.data(), bytes_.data() + at_, count * sizeof(T));
    at_ += count * sizeof(T);
    return values;
  }

 private:
  void need(std::size_t count) const {
    CLS_CHECK(at_ + count <= bytes_.size(), DataError, path_.native(), " ends at byte ",
              bytes_.size(), "; expected ", at_ + count, " or more");
  }

  fs::path path_;
  std::string bytes_;
  std::size_t at_ = 0;
};

TokenType megatron_type(const fs::path& path, std::uint8_t code) {
  constexpr std::uint8_t kI32 = 4;
  constexpr std::uint8_t kU16 = 8;
  CLS_CHECK(code == kI32 || code == kU16, DataError, path.native(), ": element type ", int{code},
            "; expected 4 (i32) or 8 (u16)");
  return code == kU16 ? TokenType::kU16 : TokenType::kU32;
}

OpenedShard open_megatron(const fs::path& path) {
  const auto [tokens, index] = megatron_files(path);
  OpenedShard opened;
  TokenShard& shard = opened.shard;
  shard.token_file = MappedFile(tokens);
  IndexReader reader(index);
  constexpr std::array<char, 9> kMagic = {'M', 'M', 'I', 'D', 'I', 'D', 'X', 0, 0};
  CLS_CHECK((reader.next<std::array<char, 9>>() == kMagic), DataError, index.native(),
            " is no index of Megatron; expected it to start with MMIDIDX");
  const auto version = reader.next<std::uint64_t>();
  CLS_CHECK(version == 1, DataError, index.native(), ": version ", version, "; expected 1");
  shard.type = megatron_type(index, reader.next<std::uint8_t>());
  const auto sequences = reader.next<std::uint64_t>();
  const auto documents = reader.next<std::uint64_t>();
  const std::vector<std::int32_t> lengths = reader.list<std::int32_t>(sequences);
  const std::vector<std::int64_t> pointers = reader.list<std::int64_t>(sequences);
  std::vector<std::int64_t> starts = {0};  // of each sequence, in tokens
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    CLS_CHECK(lengths[i] >= 0 && pointers[i] == starts.back() * size_of(shard.type), DataError,
              index.native(), ": sequence ", i, " has ", lengths[i], " tokens at byte ",
              pointers[i], "; expected byte ", starts.back() * size_of(shard.type));
    starts.push_back(starts.back() + lengths[i]);
  }
  shard.tokens = starts.back();
  const std::int64_t expected = shard.tokens * size_of(shard.type);
  CLS_CHECK(static_cast<std::int64_t>(shard.token_file.bytes().size()) == expected, DataError,
            tokens.native(), " has ", shard.token_file.bytes().size(), " bytes; expected ",
            expected, ": ", shard.tokens, " tokens in ", index.native());
  std::vector<std::uint64_t> offsets = {0};
  for (const std::int64_t first : reader.list<std::int64_t>(documents)) {
    CLS_CHECK(first >= 0 && first < std::ssize(starts), DataError, index.native(),
              ": a document starts at sequence ", first, " of ", sequences);
    const auto offset = static_cast<std::uint64_t>(starts[static_cast<std::size_t>(first)]);
    if (offset > offsets.back()) {  // documents without tokens are left out
      offsets.push_back(offset);
    }
  }
  if (offsets.back() < static_cast<std::uint64_t>(shard.tokens)) {
    offsets.push_back(static_cast<std::uint64_t>(shard.tokens));
  }
  set_offsets(shard, std::move(offsets));
  return opened;
}

OpenedShard open_shard(const fs::path& path, TokenFormat format, TokenType bare_type) {
  switch (format) {
    case TokenFormat::kLlmC:
      return open_llm_c(path);
    case TokenFormat::kMegatron:
      return open_megatron(path);
    default:
      return open_bare(path, bare_type);
  }
}

}  // namespace

TokenFormat detect_token_format(const fs::path& path) {
  const auto [tokens, index] = megatron_files(path);
  if (fs::is_directory(path)) {
    return TokenFormat::kStore;
  }
  if (fs::exists(tokens) && fs::exists(index)) {
    return TokenFormat::kMegatron;
  }
  const std::string start = read_file(path, kLlmCHeader);
  return llm_c_kind(std::as_bytes(std::span(start))) != nullptr ? TokenFormat::kLlmC
                                                                : TokenFormat::kNanogpt;
}

std::shared_ptr<const TokenStore> open_tokens(std::span<const fs::path> paths,
                                              TokenFormat format,
                                              TokenType bare_type) {
  CLS_CHECK(!paths.empty(), InternalError, "tokens of no files");
  const TokenFormat first =
      format == TokenFormat::kAuto ? detect_token_format(paths.front()) : format;
  if (first == TokenFormat::kStore) {
    return TokenStore::open(paths);
  }
  TokenIndex index;
  std::vector<TokenShard> shards;
  std::int64_t largest = 0;
  for (const fs::path& path : paths) {
    const TokenFormat found = format == TokenFormat::kAuto ? detect_token_format(path) : format;
    CLS_CHECK(found == first, DataError, path.native(), " is of format ", word_of(found), ", ",
              paths.front().native(), " of ", word_of(first),
              "; files that are read together must have one format");
    OpenedShard opened = open_shard(path, found, bare_type);
    const std::int64_t id = largest_id(opened.shard);
    CLS_CHECK(id < std::numeric_limits<std::int32_t>::max(), DataError,
              opened.shard.token_file.path.native(), " holds the id ", id,
              "; expected ids below 2^31 - 1");
    largest = std::max({largest, id + 1, opened.vocab_size.value_or(0)});
    index.eos_id = opened.eos_id;
    index.source += (index.source.empty() ? "" : ", ") + path.native();
    index.shards.push_back({.tokens = opened.shard.tokens,
                            .documents = opened.shard.documents(),
                            .tokens_xxh3 = xxh3_128(opened.shard.token_file.bytes()).hex(),
                            .documents_xxh3 = xxh3_128(std::as_bytes(opened.shard.offsets)).hex()});
    shards.push_back(std::move(opened.shard));
  }
  index.type = shards.front().type;
  index.vocab_size = largest;
  return std::make_shared<const TokenStore>(std::move(index), std::move(shards), std::string());
}

}  // namespace clausius
