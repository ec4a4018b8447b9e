// SPDX-License-Identifier: Apache-2.0
// Reading and writing index.json.
#include "data/token_index.h"

#include <limits>
#include <string_view>

#include <fmt/format.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace clausius {
namespace {

constexpr std::string_view kFormat = "clausius.tokens";
constexpr std::int64_t kVersion = 1;

std::int64_t count_in(const Json& object,
                      const char* key,
                      std::int64_t low = 0,
                      std::int64_t high = std::numeric_limits<std::int64_t>::max()) {
  const std::int64_t value = object.at(key).integer();
  CLS_CHECK(value >= low && value <= high, DataError, key, " is ", value, "; expected ", low,
            " to ", high);
  return value;
}

TokenIndex parse(const Json& root) {
  const std::string& format = root.at("format").text();
  CLS_CHECK(format == kFormat, DataError, "format is ", format, "; expected ", kFormat);
  const std::int64_t version = root.at("version").integer();
  CLS_CHECK(version == kVersion, DataError, "version is ", version, "; this build reads ",
            kVersion);
  TokenIndex index;
  const std::string& type = root.at("dtype").text();
  CLS_CHECK(type == "u16" || type == "u32", DataError, "dtype is ", type, "; expected u16 or u32");
  index.type = type == "u16" ? TokenType::kU16 : TokenType::kU32;
  index.vocab_size = count_in(root, "vocab_size", 1, std::numeric_limits<std::int32_t>::max());
  if (!root.at("eos_id").is_null()) {
    index.eos_id = static_cast<std::int32_t>(count_in(root, "eos_id", 0, index.vocab_size - 1));
  }
  index.tokenizer_sha256 = root.at("tokenizer_sha256").text();
  index.source = root.at("source").text();
  for (const Json& shard : root.at("shards").array()) {
    index.shards.push_back({count_in(shard, "tokens"), count_in(shard, "documents"),
                            shard.at("tokens_xxh3").text(), shard.at("documents_xxh3").text()});
  }
  return index;
}

}  // namespace

std::filesystem::path shard_path(const std::filesystem::path& store,
                                 std::size_t shard,
                                 const char* suffix) {
  return store / fmt::format("shard_{:05}.{}", shard, suffix);
}

TokenIndex read_token_index(const std::filesystem::path& store) {
  const std::filesystem::path path = store / "index.json";
  const std::string text = read_file(path);
  const ErrorFrame frame(path.native());
  return parse(Json::parse(text, "index of a token store"));
}

std::string token_index_json(const TokenIndex& index) {
  Json root;
  root.set("format", kFormat);
  root.set("version", kVersion);
  root.set("dtype", word_of(index.type));
  root.set("vocab_size", index.vocab_size);
  root.set("eos_id", index.eos_id ? Json(*index.eos_id) : Json());
  root.set("tokenizer_sha256", index.tokenizer_sha256);
  root.set("source", index.source);
  Json shards{Json::Array{}};
  for (const TokenShardEntry& shard : index.shards) {
    Json entry;
    entry.set("tokens", shard.tokens);
    entry.set("documents", shard.documents);
    entry.set("tokens_xxh3", shard.tokens_xxh3);
    entry.set("documents_xxh3", shard.documents_xxh3);
    shards.push(std::move(entry));
  }
  root.set("shards", std::move(shards));
  return root.dump(1) + "\n";
}

}  // namespace clausius
