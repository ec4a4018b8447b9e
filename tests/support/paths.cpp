// SPDX-License-Identifier: Apache-2.0
// Paths that CMake defines for this file alone, so that no other object depends on where the tree lies.
#include "tests/support/paths.h"

namespace clausius::test {

std::filesystem::path source_dir() {
  return CLS_SOURCE_DIR;
}
std::filesystem::path binary_dir() {
  return CLS_BINARY_DIR;
}
std::string program() {
  return CLS_PROGRAM;
}

}  // namespace clausius::test
