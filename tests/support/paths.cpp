// SPDX-License-Identifier: Apache-2.0
// Paths that CMake defines for this file alone, so that no other object depends on where the tree lies; those of a bundle where the tests
// run in one.
#include "tests/support/paths.h"

namespace clausius::test {
namespace {

// The folder that tools/bundle made, where this program lies in its bin/; empty in a build tree.
const std::filesystem::path& bundle() {
  static const std::filesystem::path folder = [] {
    const std::filesystem::path bin = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const bool bundled = bin.filename() == "bin" && std::filesystem::exists(bin / ".." / "BUNDLE");
    return bundled ? bin.parent_path() : std::filesystem::path();
  }();
  return folder;
}

}  // namespace

std::filesystem::path source_dir() {
  return bundle().empty() ? CLS_SOURCE_DIR : bundle();
}
std::filesystem::path binary_dir() {
  return bundle().empty() ? CLS_BINARY_DIR : bundle();
}
std::string program() {
  return bundle().empty() ? CLS_PROGRAM : (bundle() / "bin" / "clausius").string();
}
std::string ranks_program() {
  return bundle().empty() ? CLS_RANKS_PROGRAM : (bundle() / "bin" / "ranks").string();
}
std::string mpiexec() {
  return bundle().empty() ? CLS_MPIEXEC : (bundle() / "bin" / "mpirun").string();
}

std::string emulated_ranks_program() {
  return (binary_dir() / "tests" / "cuda_emulation" / "emulated_ranks").string();
}

}  // namespace clausius::test
