// SPDX-License-Identifier: Apache-2.0
// What every tokenizer shares, and the list of readers of tokenizer.json.
#include "data/tokenizer/tokenizer.h"

#include "core/checked.h"
#include "core/error.h"
#include "data/tokenizer/sha256.h"

namespace clausius {
namespace {

std::vector<TokenizerReader>& readers() {
  static std::vector<TokenizerReader> list;
  return list;
}

}  // namespace

detail::TokenizerReaderRegistrar::TokenizerReaderRegistrar(TokenizerReader reader) {
  readers().push_back(reader);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  encode_to(text, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool with_special) const {
  std::string text;
  for (const std::int32_t id : ids) {
    const std::string_view token = spelling(id);
    if (with_special || !is_special(id)) {
      text += token;
    }
  }
  return text;
}

std::vector<std::int32_t> Tokenizer::byte_lengths() const {
  std::vector<std::int32_t> lengths(static_cast<std::size_t>(vocab_size()));
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto id = narrow<std::int32_t>(i);
    lengths[i] = is_special(id) ? 0 : narrow<std::int32_t>(spelling(id).size());
  }
  return lengths;
}

std::string Tokenizer::sha256() const {
  return sha256_hex(to_json());
}

std::unique_ptr<Tokenizer> Tokenizer::from_json(std::string_view json) {
  for (const TokenizerReader reader : readers()) {
    if (std::unique_ptr<Tokenizer> tokenizer = reader(json)) {
      return tokenizer;
    }
  }
  throw DataError(concat("a tokenizer.json of ", json.size(), " bytes (sha256 ", sha256_hex(json),
                         ") that no tokenizer of this build reads"));
}

}  // namespace clausius
