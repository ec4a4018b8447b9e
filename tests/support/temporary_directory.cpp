// SPDX-License-Identifier: Apache-2.0
// mkdtemp and remove_all.
#include "tests/support/temporary_directory.h"

#include <cstdlib>
#include <string>
#include <system_error>

#include "core/error.h"

namespace clausius::test {

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "clausius_test_XXXXXX").string();
  CLS_CHECK(::mkdtemp(name.data()) != nullptr, IoError, "cannot make a directory like ", name);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace clausius::test
