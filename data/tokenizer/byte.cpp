// SPDX-License-Identifier: Apache-2.0
// The byte tokenizer and its tokenizer.json.
#include "data/tokenizer/byte.h"

#include <array>

#include "core/error.h"
#include "data/tokenizer/byte_characters.h"

namespace clausius {
namespace {

constexpr std::string_view kEndOfTextName = "<|endoftext|>";

constexpr std::array<char, 256> all_bytes() {
  std::array<char, 256> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(i);
  }
  return bytes;
}
constexpr std::array<char, 256> kBytes = all_bytes();

std::unique_ptr<Tokenizer> read_byte_tokenizer(std::string_view json) {
  auto tokenizer = std::make_unique<ByteTokenizer>();
  return json == tokenizer->to_json() ? std::move(tokenizer) : nullptr;
}
CLS_TOKENIZER_READER(byte, read_byte_tokenizer);
CLS_REGISTER(Tokenizer, "byte", ByteTokenizer, ByteTokenizerConfig);

}  // namespace

std::string_view ByteTokenizer::spelling(std::int32_t id) const {
  CLS_CHECK(id >= 0 && id <= kEndOfText, DataError, "token id ", id,
            " is outside the byte tokenizer's 0 .. ", kEndOfText);
  return id == kEndOfText ? kEndOfTextName
                          : std::string_view(&kBytes[static_cast<std::size_t>(id)], 1);
}

void ByteTokenizer::encode_to(std::string_view text, std::vector<std::int32_t>& ids) const {
  ids.reserve(ids.size() + text.size());
  for (const char c : text) {
    ids.push_back(static_cast<unsigned char>(c));
  }
}

std::string ByteTokenizer::to_json() const {
  std::string json =
      R"({"version": "1.0", "truncation": null, "padding": null, )"
      R"("added_tokens": [{"id": 256, "content": "<|endoftext|>", "single_word": false, "lstrip": false, )"
      R"("rstrip": false, "normalized": false, "special": true}], "normalizer": null, )"
      R"("pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}, )"
      R"("post_processor": null, )"
      R"("decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}, )"
      R"("model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, )"
      R"("end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {)";
  for (unsigned int byte = 0; byte < 256; ++byte) {
    const std::string character = byte_character(static_cast<unsigned char>(byte));
    const bool escaped = character == "\"" || character == "\\";
    json += concat('"', escaped ? "\\" : "", character, "\": ", byte, ", ");
  }
  return json + R"("<|endoftext|>": 256}, "merges": []}})";
}

}  // namespace clausius
