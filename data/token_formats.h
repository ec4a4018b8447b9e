// SPDX-License-Identifier: Apache-2.0
// Token files of other programs, read as token stores.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "core/config.h"
#include "data/token_store.h"

namespace clausius {

/// kStore: a folder NAME.tokens. kLlmC: files with a 1024-byte header (GPT-2 or Llama 3 tokens). kNanogpt: files of
/// bare ids. kMegatron: NAME.bin with NAME.idx.
enum class TokenFormat : std::uint8_t { kAuto, kStore, kLlmC, kNanogpt, kMegatron };
constexpr auto words_of(TokenFormat /*unused*/) {
  return words("auto", "store", "llm_c", "nanogpt", "megatron");
}

/// What a path holds: a store where it is a folder, Megatron where both of its files are there, llm.c by the header,
/// else bare ids.
/// Errors:  IoError when nothing is there.
[[nodiscard]] TokenFormat detect_token_format(const std::filesystem::path& path);

/// Opens paths of one format as one store. Where the files do not say them, the vocabulary is the largest id + 1;
/// documents are what the index says (Megatron), or lie between end-of-text tokens: 50256 ends a document of GPT-2
/// tokens (llm.c; bare ids whose largest it is), 128000 starts one of Llama 3 tokens (llm.c). Other files are one
/// document each.
/// Errors:  IoError; DataError naming the file, what it holds and what was expected.
/// Cost:    a scan and a checksum of the files, and 8 bytes a document.
[[nodiscard]] std::shared_ptr<const TokenStore> open_tokens(
    std::span<const std::filesystem::path> paths, TokenFormat format, TokenType bare_type);

}  // namespace clausius
