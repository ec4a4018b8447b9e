// SPDX-License-Identifier: Apache-2.0
// Folders and glob patterns.
#include "data/sources.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "core/error.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;

bool is_pattern(const fs::path& path) {
  return path.native().find_first_of("*?[") != std::string::npos;
}

std::vector<fs::path> match(const fs::path& pattern) {
  std::vector<fs::path> paths = expand_glob(pattern);
  CLS_CHECK(!paths.empty(), IoError, "no file matches ", pattern.native());
  return paths;
}

void check_exists(const fs::path& path) {
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  CLS_CHECK(fs::exists(status), IoError, "cannot open ", path.native(), ": ",
            failure ? failure.message() : std::strerror(ENOENT));
}

bool is_store(const fs::path& path) {
  return path.extension() == ".tokens" ||
         path.native().find(".tokens.building-") != std::string::npos;
}

// Every file below a folder that could hold text, unsorted.
void add_files(const fs::path& folder, std::vector<fs::path>& files) {
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename().native().starts_with('.') || is_store(entry.path())) {
        continue;
      }
      if (entry.is_directory()) {
        add_files(entry.path(), files);
      } else if (entry.is_regular_file() && entry.file_size() > 0) {
        files.push_back(entry.path());
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw IoError(concat("cannot read folder ", folder.native(), ": ", error.code().message()));
  }
}

}  // namespace

void check_weights(const ConfigCheck& check, std::string_view key, const Sources& sources) {
  const auto weighted = std::ranges::count_if(
      sources, [](const Source& source) { return source.weight.has_value(); });
  check.that(!sources.empty(), key, "expected at least one path");
  check.that(weighted == 0 || weighted == std::ssize(sources), key, weighted, " of ",
             sources.size(),
             " sources have a weight; expected all (a mixture) or none (read one after the other)");
}

std::vector<SourcePart> parts_of(const Sources& sources) {
  std::vector<SourcePart> parts;
  for (const Source& source : sources) {
    if (parts.empty() || source.weight) {
      parts.push_back({.weight = source.weight.value_or(1.0)});
    }
    parts.back().paths.push_back(source.path);
  }
  return parts;
}

std::vector<fs::path> expand_text_files(const fs::path& path) {
  std::vector<fs::path> files;
  for (const fs::path& named : is_pattern(path) ? match(path) : std::vector{path}) {
    check_exists(named);
    if (fs::is_directory(named)) {
      CLS_CHECK(is_pattern(path) || !is_store(named), DataError, named.native(),
                " is a token store; expected text (or data.kind: tokens)");
      if (!is_store(named)) {
        add_files(named, files);
      }
    } else if (fs::file_size(named) > 0) {
      files.push_back(named);
    } else {
      CLS_CHECK(is_pattern(path), DataError, named.native(), " is empty; expected text");
    }
  }
  CLS_CHECK(!files.empty(), DataError, path.native(),
            " holds no text: every file in it is empty, hidden or a token store");
  std::ranges::sort(files);
  return files;
}

std::vector<fs::path> expand_token_paths(const fs::path& path) {
  return is_pattern(path) ? match(path) : std::vector{path};
}

}  // namespace clausius
