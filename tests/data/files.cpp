// SPDX-License-Identifier: Apache-2.0
// Small files and token stores.
#include "tests/data/files.h"

#include <atomic>
#include <fstream>
#include <unistd.h>

#include "core/random.h"
#include "data/token_store_writer.h"

namespace clausius::test {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  static std::atomic<int> count{0};
  path_ = fs::temp_directory_path() / ("clausius_data_" + std::to_string(::getpid()) + "_" +
                                       std::to_string(count.fetch_add(1)));
  fs::create_directories(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path TemporaryFolder::write(std::string_view name, std::string_view content) const {
  fs::path file = path_ / name;
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << content;
  return file;
}

std::shared_ptr<const TokenStore> make_store(const fs::path& path,
                                             const Documents& documents,
                                             std::int64_t shard_tokens) {
  TokenStoreWriter writer(path, 1000, 999, path.filename().native(), shard_tokens);
  for (const std::vector<std::int32_t>& document : documents) {
    writer.append(document);
    writer.end_document();
  }
  writer.publish();
  return TokenStore::open(path);
}

Documents counting_documents(std::int64_t count, std::int64_t longest, std::string_view name) {
  const RandomStream stream{.seed = 11, .stream = stream_of(name)};
  Documents documents;
  std::int32_t next = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<std::int32_t>& document = documents.emplace_back();
    const auto length =
        1 + stream.below(static_cast<std::uint64_t>(longest), static_cast<std::uint32_t>(i));
    for (std::uint64_t k = 0; k < length; ++k) {
      document.push_back(next++ % 999);
    }
  }
  return documents;
}

}  // namespace clausius::test
