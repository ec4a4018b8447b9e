// SPDX-License-Identifier: Apache-2.0
// Views: runs read as one text; the validation split.
#include "data/token_view.h"

#include <gtest/gtest.h>

#include "tests/data/files.h"

namespace clausius {
namespace {

using test::Documents;
using Ids = std::vector<std::int32_t>;
using Pieces = std::vector<std::pair<std::int64_t, std::int64_t>>;

Ids read_all(const TokenView& view) {
  Ids ids(static_cast<std::size_t>(view.tokens()));
  view.read(0, ids);
  return ids;
}

Pieces pieces_of(const TokenView& view, std::int64_t first, std::int64_t last) {
  Pieces pieces;
  view.for_each_document(
      first, last, [&](std::int64_t begin, std::int64_t end) { pieces.emplace_back(begin, end); });
  return pieces;
}

TEST(TokenView, RunsAreReadAsOneText) {
  const test::TemporaryFolder folder;
  const auto store =
      test::make_store(folder / "a.tokens", {{0, 1, 2}, {3, 4}, {5, 6, 7, 8}, {9}}, 4);
  const TokenView view(store, {{1, 4}, {4, 4}, {6, 10}});
  EXPECT_EQ(view.tokens(), 7);
  EXPECT_EQ(read_all(view), (Ids{1, 2, 3, 6, 7, 8, 9}));
  EXPECT_EQ(pieces_of(view, 0, 7), (Pieces{{0, 2}, {2, 3}, {3, 6}, {6, 7}}));
  EXPECT_EQ(pieces_of(view, 1, 4), (Pieces{{1, 2}, {2, 3}, {3, 4}}));
  EXPECT_EQ(pieces_of(view, 4, 5), (Pieces{{4, 5}}));
  EXPECT_TRUE(pieces_of(view, 3, 3).empty());
  Ids middle(3);
  view.read(2, middle);
  EXPECT_EQ(middle, (Ids{3, 6, 7}));
}

TEST(ValidationSplit, TakesWholeDocumentsAndLosesNothing) {
  const test::TemporaryFolder folder;
  const Documents documents = test::counting_documents(200, 20, "split");
  const auto store = test::make_store(folder / "a.tokens", documents, 300);
  for (const double ratio : {0.01, 0.1, 0.5, 0.9}) {
    const ValidationSplit split = split_validation(store, ratio);
    EXPECT_EQ(split.train.tokens() + split.validation.tokens(), store->tokens());
    const double share =
        static_cast<double>(split.validation.tokens()) / static_cast<double>(store->tokens());
    EXPECT_LE(share, ratio + 1.0 / static_cast<double>(store->tokens()));
    EXPECT_GE(share, 0.9 * ratio - 1.0 / static_cast<double>(store->tokens()));
    EXPECT_EQ(pieces_of(split.train, 0, split.train.tokens()).size() +
                  pieces_of(split.validation, 0, split.validation.tokens()).size(),
              200U);
    // Nothing is lost and nothing is there twice.
    std::vector<std::int32_t> joined = read_all(split.train);
    const Ids held_out = read_all(split.validation);
    joined.insert(joined.end(), held_out.begin(), held_out.end());
    std::ranges::sort(joined);
    Ids whole = read_all(TokenView(store));
    std::ranges::sort(whole);
    EXPECT_EQ(joined, whole);
  }
}

TEST(ValidationSplit, OfOneDocumentIsItsTail) {
  const test::TemporaryFolder folder;
  Ids document(250);
  for (std::size_t i = 0; i < document.size(); ++i) {
    document[i] = static_cast<std::int32_t>(i);
  }
  const auto store = test::make_store(folder / "a.tokens", {document});
  const ValidationSplit split = split_validation(store, 0.01);
  EXPECT_EQ(read_all(split.validation), (Ids{247, 248, 249}));
  EXPECT_EQ(split.train.tokens(), 247);
}

TEST(ValidationSplit, OfAFewLongDocumentsIsTheTailOfTheLongest) {
  const test::TemporaryFolder folder;
  const auto store = test::make_store(folder / "a.tokens", {Ids(50, 1), Ids(100, 2), Ids(60, 3)});
  const ValidationSplit split = split_validation(store, 0.05);
  EXPECT_EQ(read_all(split.validation), Ids(11, 2));
  EXPECT_EQ(pieces_of(split.train, 0, split.train.tokens()),
            (Pieces{{0, 50}, {50, 139}, {139, 199}}));
}

TEST(ValidationSplit, TooSmallSharesAreRefused) {
  const test::TemporaryFolder folder;
  const auto store = test::make_store(folder / "a.tokens", {Ids(100, 1)});
  EXPECT_EQ(test::error_of<DataError>([&] { (void)split_validation(store, 0.01); }),
            "data.validation_ratio 0.01 of 100 tokens is 1; training and validation need at least "
            "2 tokens each: change the "
            "ratio, set it to 0, or give data.validation");
  EXPECT_NE(test::error_of<DataError>([&] {
              (void)split_validation(store, 0.99);
            }).find("of 100 tokens is 99;"),
            std::string::npos);
}

}  // namespace
}  // namespace clausius
