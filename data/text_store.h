// SPDX-License-Identifier: Apache-2.0
// Text becomes a token store: written once, found again by what it was made from.
#pragma once

#include <filesystem>
#include <vector>

#include "data/dataset.h"
#include "data/text_reader.h"
#include "data/tokenizer/tokenizer.h"

namespace clausius {

struct TextStoreRules {
  TextRules text{};
  /// End every document with the tokenizer's end-of-text token.
  bool append_eos = true;
};

/// Encodes files, one after the other, into a new store. Documents without text are left out.
/// Errors:  IoError, DataError of reading; DataError when there is no text, or no end-of-text token to append.
/// Cost:    a few MiB, whatever the size of the text.
void write_text_store(const std::filesystem::path& store,
                      const std::vector<std::filesystem::path>& files,
                      const TextStoreRules& rules,
                      const Tokenizer& tokenizer);

/// The store of these sources, built if it is not there. It lies beside the first source, or in `fallback_folder`
/// where that is not writable, as NAME-KEY.tokens; KEY is a hash of every file's path, size and time of change, the
/// tokenizer and the rules, so a changed source gets a new store and old ones may be deleted at any time. Processes
/// that ask at the same time wait for the first (a lock on the folder); without locks they may build twice, and one
/// result is kept. `announce` is told before a store is built.
[[nodiscard]] std::filesystem::path cached_text_store(
    const std::vector<std::filesystem::path>& sources,
    const TextStoreRules& rules,
    const Tokenizer& tokenizer,
    const std::filesystem::path& fallback_folder,
    const Announce& announce = {});

}  // namespace clausius
