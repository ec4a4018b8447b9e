// SPDX-License-Identifier: Apache-2.0
// Token stores: what is written comes back, and every kind of damage is named.
#include "data/token_store.h"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "core/allocator.h"
#include "data/token_store_writer.h"
#include "data/tokenizer/byte.h"
#include "tests/data/files.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;
using test::Documents;
using test::error_of;

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void overwrite(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

void replace_in(const fs::path& path, const std::string& from, const std::string& to) {
  std::string text = content(path);
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  overwrite(path, text.replace(at, from.size(), to));
}

TEST(TokenStore, ReadsBackDocumentsAcrossShards) {
  const test::TemporaryFolder folder;
  const Documents documents = test::counting_documents(60, 25, "store");
  for (const std::int64_t shard_tokens : {1, 40, 100000}) {
    const auto store = test::make_store(folder / (std::to_string(shard_tokens) + ".tokens"),
                                        documents, shard_tokens);
    EXPECT_EQ(store->index().shards.size() == 1, shard_tokens == 100000);
    ASSERT_EQ(store->documents(), 60);
    std::vector<std::int32_t> text;
    for (std::int64_t document = 0; document < 60; ++document) {
      const std::int64_t begin = store->document_begin(document);
      ASSERT_EQ(begin, std::ssize(text));
      const auto& expected = documents[static_cast<std::size_t>(document)];
      for (std::int64_t i = 0; i < std::ssize(expected); ++i) {
        ASSERT_EQ(store->document_of(begin + i), document);
      }
      text.insert(text.end(), expected.begin(), expected.end());
    }
    ASSERT_EQ(store->tokens(), std::ssize(text));
    EXPECT_EQ(store->document_begin(60), store->tokens());
    std::vector<std::int32_t> back(text.size());
    store->read(0, back);
    EXPECT_EQ(back, text);
    std::vector<std::int32_t> middle(50);
    store->read(33, middle);
    EXPECT_TRUE(std::equal(middle.begin(), middle.end(), text.begin() + 33));
    store->verify_checksums();
  }
}

TEST(TokenStore, LargeVocabulariesTakeFourBytes) {
  const test::TemporaryFolder folder;
  for (const auto& [vocab, type] :
       {std::pair(65536, TokenType::kU16), std::pair(65537, TokenType::kU32)}) {
    const fs::path path = folder / (std::to_string(vocab) + ".tokens");
    TokenStoreWriter writer(path, vocab, std::nullopt, "test");
    const std::vector<std::int32_t> ids = {0, vocab - 1, 7};
    writer.append(ids);
    writer.publish();
    const auto store = TokenStore::open(path);
    EXPECT_EQ(store->index().type, type);
    EXPECT_EQ(fs::file_size(path / "shard_00000.bin"),
              3U * static_cast<std::size_t>(size_of(type)));
    EXPECT_FALSE(store->eos_id());
    std::vector<std::int32_t> back(3);
    store->read(0, back);
    EXPECT_EQ(back, ids);
  }
}

TEST(TokenStore, KeepsItsTokenizer) {
  const test::TemporaryFolder folder;
  const ByteTokenizer tokenizer;
  TokenStoreWriter writer(folder / "a.tokens", tokenizer, "somewhere");
  writer.append(tokenizer.encode("hello"));
  writer.publish();
  const auto store = TokenStore::open(folder / "a.tokens");
  EXPECT_EQ(store->tokenizer_json(), tokenizer.to_json());
  EXPECT_EQ(store->index().tokenizer_sha256, tokenizer.sha256());
  EXPECT_EQ(store->index().source, "somewhere");
  EXPECT_EQ(store->eos_id(), 256);
}

TEST(TokenStore, AppearsWholeOrNotAtAll) {
  const test::TemporaryFolder folder;
  {
    TokenStoreWriter writer(folder / "a.tokens", 10, std::nullopt, "test");
    writer.append(std::vector<std::int32_t>{1, 2});
    EXPECT_FALSE(fs::exists(folder / "a.tokens"));
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
  (void)test::make_store(folder / "b.tokens", {{1, 2}});
  EXPECT_EQ(
      error_of<IoError>([&] { TokenStoreWriter(folder / "b.tokens", 10, std::nullopt, "test"); }),
      (folder / "b.tokens").native() + " exists already");
}

TEST(TokenStore, TheLoserOfARaceIsRemoved) {
  const test::TemporaryFolder folder;
  TokenStoreWriter late(folder / "a.tokens", 10, std::nullopt, "late");
  late.append(std::vector<std::int32_t>{1, 2});
  fs::create_directories(folder / "a.tokens");
  overwrite(folder / "a.tokens/index.json", "first");
  EXPECT_NE(error_of<IoError>([&] { late.publish(); }).find("cannot rename"), std::string::npos);
  EXPECT_EQ(content(folder / "a.tokens/index.json"), "first");
}

TEST(TokenStore, WriterRefusesIdsBeyondTheVocabulary) {
  const test::TemporaryFolder folder;
  TokenStoreWriter writer(folder / "a.tokens", 10, std::nullopt, "test");
  EXPECT_EQ(error_of<DataError>([&] {
              writer.append(std::vector<std::int32_t>{3, 10});
            }),
            "token 1 of shard 0 is 10; the vocabulary has 10");
}

class DamagedStore : public ::testing::Test {
 protected:
  void SetUp() override { (void)test::make_store(path_, {{1, 2, 3}, {4, 5}}); }
  [[nodiscard]] std::string data_error() const {
    return error_of<DataError>([&] { (void)TokenStore::open(path_); });
  }

  test::TemporaryFolder folder_;
  fs::path path_ = folder_ / "a.tokens";
  std::string tokens_ = (path_ / "shard_00000.bin").native();
  std::string documents_ = (path_ / "shard_00000.doc").native();
  std::string index_ = (path_ / "index.json").native();
};

TEST_F(DamagedStore, Missing) {
  fs::remove(tokens_);
  EXPECT_EQ(error_of<IoError>([&] { (void)TokenStore::open(path_); }),
            "cannot open " + tokens_ + ": No such file or directory");
  EXPECT_EQ(
      error_of<IoError>([&] { (void)TokenStore::open(folder_ / "b.tokens"); }),
      "cannot open " + (folder_ / "b.tokens/index.json").native() + ": No such file or directory");
}

TEST_F(DamagedStore, Truncated) {
  fs::resize_file(tokens_, 7);
  EXPECT_EQ(data_error(), tokens_ + " has 7 bytes; expected 10: 5 tokens of u16 in index.json");
}

TEST_F(DamagedStore, Grown) {
  overwrite(documents_, content(documents_) + "x");
  EXPECT_EQ(data_error(), documents_ + " has 25 bytes; expected 24: 2 documents in index.json");
}

TEST_F(DamagedStore, Empty) {
  overwrite(index_, "");
  EXPECT_EQ(data_error().find("[" + index_ + "] index of a token store: not valid JSON: "), 0U);
}

TEST_F(DamagedStore, IdBeyondTheVocabulary) {
  std::string bytes = content(tokens_);
  bytes[6] = '\xE8';  // 1000
  bytes[7] = '\x03';
  overwrite(tokens_, bytes);
  EXPECT_EQ(data_error(), tokens_ + ": token 3 (byte 6) is 1000; the vocabulary has 1000 ids");
}

TEST_F(DamagedStore, DocumentOffsets) {
  std::string bytes = content(documents_);
  bytes[8] = 7;
  overwrite(documents_, bytes);
  EXPECT_EQ(data_error(),
            documents_ + ": document 1 spans tokens 7 to 5; expected at least one token");
  bytes[8] = 3;
  bytes[16] = 9;
  overwrite(documents_, bytes);
  EXPECT_EQ(data_error(), documents_ + ": the last document ends at token 9; the shard has 5");
  bytes[0] = 1;
  overwrite(documents_, bytes);
  EXPECT_EQ(data_error(), documents_ + ": document offsets do not start with 0");
}

TEST_F(DamagedStore, ChecksumOnDemand) {
  std::string bytes = content(tokens_);
  bytes[0] = 9;
  overwrite(tokens_, bytes);
  const auto store = TokenStore::open(path_);
  EXPECT_EQ(
      error_of<DataError>([&] { store->verify_checksums(); }).find(tokens_ + " has checksum "), 0U);
}

TEST_F(DamagedStore, Index) {
  const auto with = [&](const std::string& from, const std::string& to) {
    const std::string intact = content(index_);
    replace_in(index_, from, to);
    std::string message = data_error();
    overwrite(index_, intact);
    return message;
  };
  const std::string at = "[" + index_ + "] ";
  EXPECT_EQ(with("clausius.tokens", "x"), at + "format is x; expected clausius.tokens");
  EXPECT_EQ(with("\"version\": 1", "\"version\": 2"), at + "version is 2; this build reads 1");
  EXPECT_EQ(with("u16", "f32"), at + "dtype is f32; expected u16 or u32");
  EXPECT_EQ(with("\"vocab_size\": 1000", "\"vocab_size\": -1"),
            at + "vocab_size is -1; expected 1 to 2147483647");
  EXPECT_EQ(with("\"eos_id\": 999", "\"eos_id\": 1000"), at + "eos_id is 1000; expected 0 to 999");
  EXPECT_EQ(with("\"tokens\": 5", "\"tokens\": -5"),
            at + "tokens is -5; expected 0 to 9223372036854775807");
}

// Large enough for several parallel chunks; the bad id is in the last, incomplete block of one of them.
TEST(TokenStore, ScanFindsTheFirstBadIdOfALargeFile) {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "a.tokens";
  constexpr std::int64_t kTokens = (std::int64_t{1} << 21) + 77;
  {
    TokenStoreWriter writer(path, 500, std::nullopt, "test");
    writer.append(std::vector<std::int32_t>(kTokens, 499));
    writer.publish();
  }
  std::fstream file(path / "shard_00000.bin", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(2 * (kTokens - 1));
  file.write("\xF4\x01", 2);
  file.close();
  EXPECT_EQ(error_of<DataError>([&] { (void)TokenStore::open(path); }),
            concat((path / "shard_00000.bin").native(), ": token ", kTokens - 1, " (byte ",
                   2 * (kTokens - 1), ") is 500; the vocabulary has 500 ids"));
}

TEST(TokenStore, StoresReadTogetherMustAgree) {
  const test::TemporaryFolder folder;
  (void)test::make_store(folder / "a.tokens", {{1, 2}, {3}});
  (void)test::make_store(folder / "b.tokens", {{4}, {5, 6}});
  const auto both = TokenStore::open(std::vector{folder / "a.tokens", folder / "b.tokens"});
  EXPECT_EQ(both->documents(), 4);
  std::vector<std::int32_t> back(6);
  both->read(0, back);
  EXPECT_EQ(back, (std::vector<std::int32_t>{1, 2, 3, 4, 5, 6}));
  TokenStoreWriter other(folder / "c.tokens", 5, std::nullopt, "test");
  other.append(std::vector<std::int32_t>{1});
  other.publish();
  EXPECT_EQ(error_of<DataError>([&] {
              (void)TokenStore::open(std::vector{folder / "a.tokens", folder / "c.tokens"});
            }),
            concat((folder / "c.tokens").native(), " has 5 ids and tokenizer '', but ",
                   (folder / "a.tokens").native(),
                   " has 1000 and ''; stores that are read together must share their tokenizer"));
}

}  // namespace
}  // namespace clausius
