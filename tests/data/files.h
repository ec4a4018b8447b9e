// SPDX-License-Identifier: Apache-2.0
// Small files, token stores and expected errors for the tests of the data room.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "data/token_store.h"

namespace clausius::test {

/// A folder that is removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
    return path_ / name;
  }
  /// Writes a file, with the folders above it.
  std::filesystem::path write(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

using Documents = std::vector<std::vector<std::int32_t>>;

/// A store of these documents (vocabulary 1000, end-of-text 999, no tokenizer).
std::shared_ptr<const TokenStore> make_store(const std::filesystem::path& path,
                                             const Documents& documents,
                                             std::int64_t shard_tokens = 1 << 20);

/// `count` documents of 1 to `longest` tokens (pseudo-random lengths); token values count up from 0 through all of
/// them.
Documents counting_documents(std::int64_t count, std::int64_t longest, std::string_view name);

/// The message of the error that `fn` throws; fails when it throws none of that type.
template <class ErrorType, class Fn>
std::string error_of(const Fn& fn) {
  try {
    fn();
  } catch (const ErrorType& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error: " << error.what();
    return {};
  }
  ADD_FAILURE() << "no error";
  return {};
}

}  // namespace clausius::test
