// SPDX-License-Identifier: Apache-2.0
// Text files as documents, and the files behind a source.
#include "data/text_reader.h"

#include <gtest/gtest.h>

#include "data/sources.h"
#include "tests/data/files.h"

namespace clausius {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using Texts = std::vector<std::string>;

class Collector final : public DocumentSink {
 public:
  void text(std::string_view piece) override {
    longest_piece = std::max(longest_piece, piece.size());
    open_ += piece;
  }
  void end_document() override {
    documents.push_back(open_);
    open_.clear();
  }
  Texts documents;
  std::size_t longest_piece = 0;

 private:
  std::string open_;
};

Texts read(const fs::path& file, const TextRules& rules) {
  Collector collector;
  read_documents(file, rules, collector);
  return collector.documents;
}

TEST(TextReader, PlainTextByEachRule) {
  const test::TemporaryFolder folder;
  const std::string text = "one\ntwo\n\n \t\nthree\r\nfour\r\n\r\nfive";
  const fs::path file = folder.write("a.txt", text);
  EXPECT_EQ(read(file, {.documents = DocumentRule::kFile}), (Texts{text}));
  EXPECT_EQ(read(file, {.documents = DocumentRule::kBlankLine}),
            (Texts{"one\ntwo", "three\r\nfour", "five"}));
  EXPECT_EQ(read(file, {.documents = DocumentRule::kLine}),
            (Texts{"one", "two", "", " \t", "three", "four", "", "five"}));
}

TEST(TextReader, EdgesOfFiles) {
  const test::TemporaryFolder folder;
  const auto blank = [&](const std::string& text) {
    return read(folder.write("a.txt", text), {.documents = DocumentRule::kBlankLine});
  };
  EXPECT_EQ(blank("\n\n\na\n"), (Texts{"a"}));
  EXPECT_EQ(blank("a\n\n"), (Texts{"a"}));
  EXPECT_EQ(blank("\n \n"), (Texts{}));
  EXPECT_EQ(blank(""), (Texts{}));
  EXPECT_EQ(read(folder.write("b.txt", "a\nb\n"), {.documents = DocumentRule::kLine}),
            (Texts{"a", "b"}));
}

TEST(TextReader, LinesAcrossBlocksAreWhole) {
  const test::TemporaryFolder folder;
  std::string text;
  Texts lines;
  for (const std::size_t size : {std::size_t{1} << 20, std::size_t{3}, (std::size_t{5} << 19) + 1,
                                 std::size_t{0}, std::size_t{9}}) {
    lines.emplace_back(size, static_cast<char>('a' + lines.size()));
    text += lines.back() + "\n";
  }
  const fs::path file = folder.write("a.txt", text);
  EXPECT_EQ(read(file, {.documents = DocumentRule::kLine}), lines);
  Collector whole;
  read_documents(file, {}, whole);
  EXPECT_EQ(whole.documents, (Texts{text}));
  EXPECT_LE(whole.longest_piece, std::size_t{1} << 20);
}

TEST(TextReader, Jsonl) {
  const test::TemporaryFolder folder;
  const std::string text =
      "{\"text\": \"a\\nb\", \"id\": 1}\r\n\n{\"id\": 2, \"text\": \"\\u00e9\"}";
  EXPECT_EQ(read(folder.write("a.jsonl", text), {}), (Texts{"a\nb", "\xC3\xA9"}));
  EXPECT_EQ(read(folder.write("a.txt", text), {.format = TextFormat::kJsonl}),
            (Texts{"a\nb", "\xC3\xA9"}));
  EXPECT_EQ(read(folder.write("b.jsonl", text), {.format = TextFormat::kPlain}), (Texts{text}));
  EXPECT_EQ(read(folder.write("c.jsonl", "{\"body\": \"x\"}"), {.text_key = "body"}), (Texts{"x"}));
}

TEST(TextReader, JsonlErrorsNameFileAndLine) {
  const test::TemporaryFolder folder;
  const auto message = [&](const std::string& text) {
    const fs::path file = folder.write("a.jsonl", text);
    return error_of<DataError>([&] { (void)read(file, {}); });
  };
  const std::string at = (folder / "a.jsonl").native();
  EXPECT_EQ(message("{\"text\": \"a\"}\n\n{\"text\": \"b\"").find(at + ":3: not valid JSON: "), 0U);
  EXPECT_EQ(message("[1]"), at + ":1: not a JSON object");
  EXPECT_EQ(message("{\"body\": \"a\"}"),
            at + ":1: no member \"text\"; set data.text_key to the member that holds the text");
  EXPECT_EQ(message("{\"text\": 5}"), at + ":1: member \"text\" is no string but 5");
}

TEST(TextReader, CompressedAndMissingFilesAreNamed) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.write("a.txt.gz", "\x1f\x8b\x08 and so on");
  EXPECT_EQ(error_of<DataError>([&] { (void)read(file, {}); }),
            file.native() + " is a gzip file; expected text: decompress it first");
  EXPECT_EQ(error_of<IoError>([&] { (void)read(folder / "b", {}); }),
            "cannot open " + (folder / "b").native() + ": No such file or directory");
  EXPECT_EQ(error_of<IoError>([&] { (void)read(folder.path(), {}); }),
            "cannot read " + folder.path().native() + " at byte 0: Is a directory");
}

TEST(Sources, FoldersAndPatternsInByteOrder) {
  const test::TemporaryFolder folder;
  const fs::path b = folder.write("t/b.txt", "b");
  const fs::path a = folder.write("t/sub/a.txt", "a");
  const fs::path upper = folder.write("t/Z.txt", "z");
  (void)folder.write("t/empty.txt", "");
  (void)folder.write("t/.hidden", "h");
  (void)folder.write("t/.git/x", "h");
  (void)folder.write("t/c.tokens/index.json", "{}");
  (void)folder.write("t/c.tokens.building-17/index.json", "{}");
  EXPECT_EQ(expand_text_files(folder / "t"), (std::vector{upper, b, a}));
  EXPECT_EQ(expand_text_files(folder / "t/*"), (std::vector{upper, b, a}));
  EXPECT_EQ(expand_text_files(folder / "t/[a-z]*.txt"), (std::vector{b}));
  EXPECT_EQ(expand_text_files(b), (std::vector{b}));
  EXPECT_EQ(expand_token_paths(folder / "t/*.tokens"), (std::vector{folder / "t/c.tokens"}));
}

TEST(Sources, ErrorsNameThePath) {
  const test::TemporaryFolder folder;
  const fs::path empty = folder.write("d/empty.txt", "");
  (void)folder.write("c.tokens/index.json", "{}");
  const auto io = [](const fs::path& path) {
    return error_of<IoError>([&] { (void)expand_text_files(path); });
  };
  const auto data = [](const fs::path& path) {
    return error_of<DataError>([&] { (void)expand_text_files(path); });
  };
  EXPECT_EQ(io(folder / "no"),
            "cannot open " + (folder / "no").native() + ": No such file or directory");
  EXPECT_EQ(io(folder / "no*"), "no file matches " + (folder / "no*").native());
  EXPECT_EQ(data(empty), empty.native() + " is empty; expected text");
  EXPECT_EQ(data(folder / "d"),
            (folder / "d").native() +
                " holds no text: every file in it is empty, hidden or a token store");
  EXPECT_EQ(
      data(folder / "c.tokens"),
      (folder / "c.tokens").native() + " is a token store; expected text (or data.kind: tokens)");
}

}  // namespace
}  // namespace clausius
