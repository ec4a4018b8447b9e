// SPDX-License-Identifier: Apache-2.0
// Sources: which files a recipe means by `train` and `validation`.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/config_path.h"

namespace clausius {

/// One path of a recipe; written as a bare path it has no weight.
struct Source {
  static constexpr std::string_view kShortKey = "path";
  std::filesystem::path path{};
  std::optional<double> weight{};

  void visit(ConfigVisitor& v) {
    v.required("path", path, "a file, a folder, or a pattern with * ? [..]");
    v.field("weight", weight,
            "share of the samples drawn from it; null: read with the others as one text", positive);
  }
};

/// A path, a list of paths that are read one after the other, or a mixture.
using Sources = OneOrMany<Source>;

/// Refuses a list in which some entries have weights and some have none.
void check_weights(const ConfigCheck& check, std::string_view key, const Sources& sources);

/// What a sampler draws from: paths read one after the other.
struct SourcePart {
  std::vector<std::filesystem::path> paths{};
  double weight = 1.0;
};

/// One part without weights, else one for each source.
[[nodiscard]] std::vector<SourcePart> parts_of(const Sources& sources);

/// The files behind a path: itself, every regular file below a folder, or what a pattern matches, in byte order of
/// their names. Hidden files, token stores (*.tokens) and, below folders and patterns, empty files are left out.
/// Errors:  IoError when nothing is there; DataError when nothing is left or a file named outright is empty.
[[nodiscard]] std::vector<std::filesystem::path> expand_text_files(
    const std::filesystem::path& path);

/// A path of tokens itself, or what a pattern matches, in byte order of the names.
/// Errors:  IoError when a pattern matches nothing.
[[nodiscard]] std::vector<std::filesystem::path> expand_token_paths(
    const std::filesystem::path& path);

}  // namespace clausius
