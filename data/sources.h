// SPDX-License-Identifier: Apache-2.0
// Sources: which files a recipe means by `train` and `validation`.
#pragma once

#include <filesystem>
#include <vector>

namespace clausius {

/// A share of a mixture: files, folders or glob patterns read one after the other.
struct SourcePart {
  std::vector<std::filesystem::path> paths{};
  double weight = 1.0;
};

/// One part, or several that are mixed by weight.
using Sources = std::vector<SourcePart>;

/// The files behind a path: itself, every regular file below a folder, or what a pattern (* ? [])
/// matches, in byte order of their names. Hidden files, token stores (*.tokens) and, below folders
/// and patterns, empty files are left out. Errors:  IoError when nothing is there; DataError when
/// nothing is left or a file named outright is empty.
[[nodiscard]] std::vector<std::filesystem::path> expand_text_files(
    const std::filesystem::path& path);

/// The token stores behind a path: itself, or the *.tokens folders that a pattern matches, in byte
/// order of their names. Errors:  IoError when nothing is there.
[[nodiscard]] std::vector<std::filesystem::path> expand_token_stores(
    const std::filesystem::path& path);

}  // namespace clausius
