// SPDX-License-Identifier: Apache-2.0
// Text to token store: content, cache keys, locking, bounded memory.
#include "data/text_store.h"

#include <chrono>
#include <set>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "data/token_store.h"
#include "data/tokenizer/byte.h"
#include "tests/data/files.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;
using test::error_of;

std::vector<fs::path> stores_in(const fs::path& folder) {
  std::vector<fs::path> stores;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().native().find(".tokens") != std::string::npos) {
      stores.push_back(entry.path());
    }
  }
  return stores;
}

std::string text_of(const TokenStore& store) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(store.tokens()));
  store.read(0, ids);
  return ByteTokenizer().decode(ids, true);
}

TEST(TextStore, HoldsDocumentsWithTheirEnds) {
  const test::TemporaryFolder folder;
  const std::vector<fs::path> files = {folder.write("a.txt", "one\n\ntwo\n\n"),
                                       folder.write("b.txt", "three")};
  const ByteTokenizer tokenizer;
  write_text_store(folder / "c.tokens", files, {.text = {.documents = DocumentRule::kBlankLine}},
                   tokenizer);
  EXPECT_EQ(text_of(*TokenStore::open(folder / "c.tokens")),
            "one<|endoftext|>two<|endoftext|>three<|endoftext|>");
  write_text_store(folder / "d.tokens", files, {.append_eos = false}, tokenizer);
  const auto store = TokenStore::open(folder / "d.tokens");
  EXPECT_EQ(text_of(*store), "one\n\ntwo\n\nthree");
  EXPECT_EQ(store->documents(), 2);
}

TEST(TextStore, DocumentsWithoutTextAreLeftOut) {
  const test::TemporaryFolder folder;
  const fs::path file =
      folder.write("a.jsonl", "{\"text\": \"\"}\n{\"text\": \"x\"}\n{\"text\": \"\"}\n");
  write_text_store(folder / "a.tokens", {file}, {}, ByteTokenizer());
  EXPECT_EQ(text_of(*TokenStore::open(folder / "a.tokens")), "x<|endoftext|>");
  const fs::path nothing = folder.write("b.jsonl", "{\"text\": \"\"}\n");
  EXPECT_EQ(error_of<DataError>(
                [&] { write_text_store(folder / "b.tokens", {nothing}, {}, ByteTokenizer()); }),
            nothing.native() + ": no text in 1 file");
  EXPECT_FALSE(fs::exists(folder / "b.tokens"));
}

TEST(TextStore, ATokenizerWithoutEndOfTextCannotAppendIt) {
  class Endless final : public Tokenizer {
   public:
    [[nodiscard]] std::string_view kind() const override { return "endless"; }
    [[nodiscard]] std::int64_t vocab_size() const override { return 1; }
    [[nodiscard]] std::optional<std::int32_t> eos_id() const override { return std::nullopt; }
    [[nodiscard]] std::optional<std::int32_t> bos_id() const override { return std::nullopt; }
    [[nodiscard]] bool is_special(std::int32_t) const override { return false; }
    [[nodiscard]] std::string_view spelling(std::int32_t) const override { return "x"; }
    void encode_to(std::string_view text, std::vector<std::int32_t>& ids) const override {
      ids.resize(ids.size() + text.size());
    }
    [[nodiscard]] std::size_t settled_prefix(std::string_view text) const override {
      return text.size();
    }
    [[nodiscard]] std::string to_json() const override { return "{}"; }
  };
  const test::TemporaryFolder folder;
  const fs::path file = folder.write("a.txt", "xx");
  EXPECT_EQ(
      error_of<DataError>([&] { write_text_store(folder / "a.tokens", {file}, {}, Endless()); }),
      "the endless tokenizer has no end-of-text token; set data.append_eos: false");
}

// Encodes whole words only and holds back a word that may go on: what a trained tokenizer does at piece borders.
class WordTokenizer final : public Tokenizer {
 public:
  [[nodiscard]] std::string_view kind() const override { return "words"; }
  [[nodiscard]] std::int64_t vocab_size() const override { return 1 << 20; }
  [[nodiscard]] std::optional<std::int32_t> eos_id() const override { return 0; }
  [[nodiscard]] std::optional<std::int32_t> bos_id() const override { return std::nullopt; }
  [[nodiscard]] bool is_special(std::int32_t) const override { return false; }
  [[nodiscard]] std::string_view spelling(std::int32_t) const override { return ""; }
  // The token of a word is its length.
  void encode_to(std::string_view text, std::vector<std::int32_t>& ids) const override {
    while (!text.empty()) {
      const std::size_t end = std::min(text.find(' '), text.size());
      ids.push_back(static_cast<std::int32_t>(end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  [[nodiscard]] std::size_t settled_prefix(std::string_view text) const override {
    const std::size_t end = text.rfind(' ');
    return end == std::string_view::npos ? 0 : end + 1;
  }
  [[nodiscard]] std::string to_json() const override { return "{}"; }
};

TEST(TextStore, WordsAcrossPiecesAreEncodedWhole) {
  const test::TemporaryFolder folder;
  std::string text;
  std::vector<std::int32_t> expected;
  for (std::int32_t length = 1; text.size() < (std::size_t{3} << 20);
       length = length * 7 % 3001 + 1) {
    text += std::string(static_cast<std::size_t>(length), 'x') + ' ';
    expected.push_back(length);
  }
  text += "end";
  expected.insert(expected.end(), {3, 0});
  const fs::path file = folder.write("a.txt", text);
  write_text_store(folder / "a.tokens", {file}, {}, WordTokenizer());
  const auto store = TokenStore::open(folder / "a.tokens");
  std::vector<std::int32_t> ids(static_cast<std::size_t>(store->tokens()));
  store->read(0, ids);
  EXPECT_EQ(ids, expected);
}

TEST(TextStoreCache, IsFoundAgainAndFollowsItsSources) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.write("a.txt", "some text");
  const ByteTokenizer tokenizer;
  const fs::path first = cached_text_store({file}, {}, tokenizer, {});
  EXPECT_EQ(first.parent_path(), folder.path());
  EXPECT_EQ(first.filename().native().find("a-"), 0U);
  const auto written = fs::last_write_time(first / "index.json");
  EXPECT_EQ(cached_text_store({file}, {}, tokenizer, {}), first);
  EXPECT_EQ(fs::last_write_time(first / "index.json"), written);

  const fs::path lines =
      cached_text_store({file}, {.text = {.documents = DocumentRule::kLine}}, tokenizer, {});
  const fs::path endless = cached_text_store({file}, {.append_eos = false}, tokenizer, {});
  const fs::path other_key =
      cached_text_store({file}, {.text = {.text_key = "body"}}, tokenizer, {});
  EXPECT_EQ(std::set({first, lines, endless, other_key}).size(), 4U);

  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(5));
  const fs::path touched = cached_text_store({file}, {}, tokenizer, {});
  EXPECT_NE(touched, first);
  (void)folder.write("a.txt", "some longer text");
  EXPECT_EQ(text_of(*TokenStore::open(cached_text_store({file}, {}, tokenizer, {}))),
            "some longer text<|endoftext|>");
}

TEST(TextStoreCache, LiesBesideAFolderAndNeverInsideIt) {
  const test::TemporaryFolder folder;
  (void)folder.write("t/a.txt", "a");
  (void)folder.write("t/b.txt", "b");
  for (const char* source : {"t", "t/"}) {
    const fs::path store = cached_text_store({folder / source}, {}, ByteTokenizer(), {});
    EXPECT_EQ(store.parent_path(), folder.path()) << source;
    EXPECT_EQ(text_of(*TokenStore::open(store)), "a<|endoftext|>b<|endoftext|>");
  }
  EXPECT_EQ(stores_in(folder.path()).size(), 1U);
  const fs::path store = cached_text_store({folder / "t/*.txt"}, {}, ByteTokenizer(), {});
  EXPECT_EQ(store.parent_path(), folder / "t");
  EXPECT_EQ(cached_text_store({folder / "t/*"}, {}, ByteTokenizer(), {}), store);
}

TEST(TextStoreCache, GoesToTheFallbackWhereTheSourceIsReadOnly) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.write("t/a.txt", "a");
  fs::create_directories(folder / "run");
  fs::permissions(folder.path(), fs::perms::all);
  fs::permissions(folder / "run", fs::perms::all);
  fs::permissions(file, fs::perms::all);
  fs::permissions(folder / "t", fs::perms(0555));
  // Root may write everywhere, so it becomes someone else for a moment.
  const bool root = ::geteuid() == 0;
  ASSERT_TRUE(!root || ::seteuid(65534) == 0);
  const fs::path store = cached_text_store({file}, {}, ByteTokenizer(), folder / "run/data");
  ASSERT_TRUE(!root || ::seteuid(0) == 0);
  fs::permissions(folder / "t", fs::perms::owner_all);
  EXPECT_EQ(store.parent_path(), folder / "run/data");
  EXPECT_EQ(TokenStore::open(store)->tokens(), 2);
}

TEST(TextStoreCache, ManyAskersBuildOnce) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.write("a.txt", std::string(200000, 'x'));
  std::vector<fs::path> stores(4);
  std::vector<std::thread> threads;
  for (fs::path& store : stores) {
    threads.emplace_back([&] { store = cached_text_store({file}, {}, ByteTokenizer(), {}); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(stores_in(folder.path()), (std::vector{stores[0]}));
  EXPECT_EQ(stores, std::vector(4, stores[0]));
  EXPECT_EQ(TokenStore::open(stores[0])->tokens(), 200001);
}

TEST(TextStoreCache, ClearsWhatAKilledBuilderLeft) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.write("a.txt", "text");
  const fs::path store = cached_text_store({file}, {}, ByteTokenizer(), {});
  fs::rename(store, store.native() + ".building-1");
  EXPECT_EQ(cached_text_store({file}, {}, ByteTokenizer(), {}), store);
  EXPECT_EQ(stores_in(folder.path()), (std::vector{store}));
}

}  // namespace
}  // namespace clausius
