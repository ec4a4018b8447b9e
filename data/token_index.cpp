// SPDX-License-Identifier: Apache-2.0
// Reading and writing index.json.
#include "data/token_index.h"

#include <limits>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/mapped_file.h"

namespace clausius {
namespace {

constexpr std::string_view kFormat = "clausius.tokens";
constexpr std::int64_t kVersion = 1;

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

std::int64_t count_in(const nlohmann::json& object,
                      const char* key,
                      std::int64_t low = 0,
                      std::int64_t high = std::numeric_limits<std::int64_t>::max()) {
  const auto value = object.at(key).get<std::int64_t>();
  CLS_CHECK(value >= low && value <= high, DataError, key, " is ", value, "; expected ", low,
            " to ", high);
  return value;
}

TokenIndex parse(std::string_view text) {
  const nlohmann::json root = nlohmann::json::parse(text);
  CLS_CHECK(root.at("format") == kFormat, DataError, "format is ", root.at("format"),
            "; expected \"", kFormat, "\"");
  CLS_CHECK(root.at("version") == kVersion, DataError, "version is ", root.at("version"),
            "; this build reads ", kVersion);
  TokenIndex index;
  const auto type = root.at("dtype").get<std::string>();
  CLS_CHECK(type == "u16" || type == "u32", DataError, "dtype is ", type, "; expected u16 or u32");
  index.type = type == "u16" ? TokenType::kU16 : TokenType::kU32;
  index.vocab_size = count_in(root, "vocab_size", 1, std::numeric_limits<std::int32_t>::max());
  if (!root.at("eos_id").is_null()) {
    index.eos_id = root.at("eos_id").get<std::int32_t>();
    CLS_CHECK(*index.eos_id >= 0 && *index.eos_id < index.vocab_size, DataError, "eos_id is ",
              *index.eos_id, "; the vocabulary has ", index.vocab_size, " ids");
  }
  index.tokenizer_sha256 = root.at("tokenizer_sha256").get<std::string>();
  index.source = root.at("source").get<std::string>();
  for (const nlohmann::json& shard : root.at("shards")) {
    index.shards.push_back({count_in(shard, "tokens"), count_in(shard, "documents"),
                            shard.at("tokens_xxh3").get<std::string>(),
                            shard.at("documents_xxh3").get<std::string>()});
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
  const MappedFile file(store / "index.json");
  const ErrorFrame frame(file.path().native());
  try {
    return parse(text_of(file));
  } catch (const nlohmann::json::exception& error) {
    throw DataError(concat("not an index of a token store: ", error.what()));
  }
}

std::string token_index_json(const TokenIndex& index) {
  nlohmann::ordered_json root = {{"format", kFormat},
                                 {"version", kVersion},
                                 {"dtype", name_of(index.type)},
                                 {"vocab_size", index.vocab_size},
                                 {"eos_id", nullptr},
                                 {"tokenizer_sha256", index.tokenizer_sha256},
                                 {"source", index.source},
                                 {"shards", nlohmann::ordered_json::array()}};
  if (index.eos_id) {
    root["eos_id"] = *index.eos_id;
  }
  for (const TokenShardEntry& shard : index.shards) {
    root["shards"].push_back({{"tokens", shard.tokens},
                              {"documents", shard.documents},
                              {"tokens_xxh3", shard.tokens_xxh3},
                              {"documents_xxh3", shard.documents_xxh3}});
  }
  return root.dump(1) + "\n";
}

}  // namespace clausius
