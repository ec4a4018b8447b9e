// SPDX-License-Identifier: Apache-2.0
// The list of libraries.
#include "core/libraries.h"

#include <algorithm>

namespace clausius {
namespace {

struct Entry {
  std::string_view name;
  std::string (*version)();
};

std::vector<Entry>& entries() {
  static std::vector<Entry> list;
  return list;
}

}  // namespace

detail::LibraryRegistrar::LibraryRegistrar(std::string_view name, std::string (*version)()) {
  entries().push_back({name, version});
}

std::vector<LibraryInfo> libraries() {
  std::vector<LibraryInfo> list;
  for (const Entry& entry : entries()) {
    list.push_back({std::string(entry.name), entry.version()});
  }
  std::sort(list.begin(), list.end(),
            [](const LibraryInfo& a, const LibraryInfo& b) { return a.name < b.name; });
  return list;
}

}  // namespace clausius
