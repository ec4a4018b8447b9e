// SPDX-License-Identifier: Apache-2.0
// Which libraries this build runs on, said by the files that use them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/macros.h"

namespace clausius {

struct LibraryInfo {
  std::string name;
  /// Of the library that is loaded, with what it chose for this machine where it chooses.
  std::string version;
};

/// In alphabetical order.
[[nodiscard]] std::vector<LibraryInfo> libraries();

namespace detail {
struct LibraryRegistrar {
  LibraryRegistrar(std::string_view name, std::string (*version)());
};
}  // namespace detail
}  // namespace clausius

/// CLS_LIBRARY("HDF5", hdf5_version) in the file that includes the library's header; the function is called when somebody asks.
#define CLS_LIBRARY(name, version) \
  static const ::clausius::detail::LibraryRegistrar CLS_CONCAT(library_, __COUNTER__)(name, version)
