// SPDX-License-Identifier: Apache-2.0
// Names of runs.
#include "train/web/run_names.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace clausius::web {
namespace {

// The last `count` parts of a path.
std::string ending(const std::filesystem::path& path, std::ptrdiff_t count) {
  std::filesystem::path name;
  const std::ptrdiff_t parts = std::distance(path.begin(), path.end());
  auto part = path.begin();
  std::advance(part, std::max<std::ptrdiff_t>(parts - count, 0));
  for (; part != path.end(); ++part) {
    name /= *part;
  }
  return name.string();
}

}  // namespace

std::vector<std::string> run_names(const std::vector<std::string>& directories) {
  std::vector<std::filesystem::path> paths;
  std::ptrdiff_t longest = 1;
  for (const std::string& directory : directories) {
    std::filesystem::path path = std::filesystem::absolute(directory).lexically_normal();
    paths.push_back(path.has_filename() ? path : path.parent_path());
    longest = std::max(longest, std::distance(paths.back().begin(), paths.back().end()));
  }
  std::vector<std::string> names;
  for (std::ptrdiff_t count = 1; count <= longest; ++count) {
    names.clear();
    for (const std::filesystem::path& path : paths) {
      names.push_back(ending(path, count));
    }
    if (std::set<std::string>(names.begin(), names.end()).size() == names.size()) {
      return names;
    }
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    names[i] = ending(paths[i], 1) + " (" + std::to_string(i + 1) + ")";
  }
  return names;
}

}  // namespace clausius::web
