// SPDX-License-Identifier: Apache-2.0
// Paths as members of a config: relative ones start from the file that holds them, on the command
// line from the working directory; after reading they are absolute. Globs stay as written;
// `expand_glob` opens them.
#pragma once

#include <filesystem>
#include <vector>

#include "core/config.h"

namespace clausius {

template <>
struct ConfigType<std::filesystem::path> {
  static bool fits(const ConfigNode& node);
  static void read(const ConfigNode& node, std::filesystem::path& value, const Constraint& range);
  static ConfigNode write(const std::filesystem::path& value);
  static TypeSchema describe(const Constraint& range);
};

/// The existing files and folders a path with `*`, `?` or `[..]` names, sorted; a path without them
/// names itself.
[[nodiscard]] std::vector<std::filesystem::path> expand_glob(const std::filesystem::path& pattern);

}  // namespace clausius
