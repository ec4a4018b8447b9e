// SPDX-License-Identifier: Apache-2.0
// Packing: which tokens, targets, positions and borders a row holds.
#include "data/row_table.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <gtest/gtest.h>

#include "core/batch.h"
#include "tests/data/files.h"

namespace clausius {
namespace {

using test::Documents;
using Row = std::vector<std::int32_t>;

constexpr std::int32_t kNone = kIgnoredTarget;

struct ReadRow {
  Row inputs;
  Row targets;
  Row positions;
  std::vector<std::int64_t> borders;
};

ReadRow read_row(const RowTable& table, std::int64_t row) {
  const auto length = static_cast<std::size_t>(table.context_length());
  ReadRow out{Row(length, -7), Row(length, -7), Row(length, -7), {}};
  table.read(row, {out.inputs, out.targets, out.positions}, out.borders);
  return out;
}

class RowTableTest : public ::testing::Test {
 protected:
  TokenView view(const Documents& documents, std::int64_t shard_tokens = 1 << 20) {
    return TokenView(test::make_store(folder_ / (std::to_string(stores_++) + ".tokens"), documents,
                                      shard_tokens));
  }

  test::TemporaryFolder folder_;
  int stores_ = 0;
};

TEST_F(RowTableTest, DocumentsShareRowsButNotTargetsOrPositions) {
  const RowTable table(view({{1, 2, 3}, {4, 5}, {6, 7, 8, 9, 10}}), Packing::kDocuments, 4);
  ASSERT_EQ(table.rows(), 3);
  EXPECT_EQ(table.dropped_tokens(), 0);
  const ReadRow first = read_row(table, 0);
  EXPECT_EQ(first.inputs, (Row{1, 2, 3, 4}));
  EXPECT_EQ(first.targets, (Row{2, 3, kNone, 5}));
  EXPECT_EQ(first.positions, (Row{0, 1, 2, 0}));
  EXPECT_EQ(first.borders, (std::vector<std::int64_t>{3}));
  const ReadRow second = read_row(table, 1);
  EXPECT_EQ(second.inputs, (Row{5, 6, 7, 8}));
  EXPECT_EQ(second.targets, (Row{kNone, 7, 8, 9}));
  EXPECT_EQ(second.positions, (Row{0, 0, 1, 2}));
  EXPECT_EQ(second.borders, (std::vector<std::int64_t>{1}));
  const ReadRow last = read_row(table, 2);
  EXPECT_EQ(last.inputs, (Row{9, 10, 999, 999}));
  EXPECT_EQ(last.targets, (Row{10, kNone, kNone, kNone}));
  EXPECT_EQ(last.positions, (Row{0, 1, 0, 1}));
  EXPECT_EQ(last.borders, (std::vector<std::int64_t>{2}));
}

TEST_F(RowTableTest, ABorderAtTheEndOfARowTakesItsLastTarget) {
  const RowTable table(view({{1, 2, 3}, {4, 5, 6}}), Packing::kDocuments, 3);
  ASSERT_EQ(table.rows(), 2);
  EXPECT_EQ(read_row(table, 0).targets, (Row{2, 3, kNone}));
  EXPECT_TRUE(read_row(table, 0).borders.empty());
  EXPECT_EQ(read_row(table, 1).targets, (Row{5, 6, kNone}));
}

TEST_F(RowTableTest, StreamReadsAcrossDocuments) {
  const RowTable table(view({{1, 2, 3}, {4, 5}, {6, 7}}), Packing::kStream, 3);
  ASSERT_EQ(table.rows(), 2);
  EXPECT_EQ(table.dropped_tokens(), 1);  // 7 is only a target
  EXPECT_EQ(read_row(table, 0).targets, (Row{2, 3, 4}));
  EXPECT_EQ(read_row(table, 1).inputs, (Row{4, 5, 6}));
  EXPECT_EQ(read_row(table, 1).targets, (Row{5, 6, 7}));
  EXPECT_EQ(read_row(table, 1).positions, (Row{0, 1, 2}));
  EXPECT_TRUE(read_row(table, 1).borders.empty());
}

TEST_F(RowTableTest, AShortTextIsOnePaddedRow) {
  for (const Packing packing : {Packing::kDocuments, Packing::kStream}) {
    const RowTable table(view({{1, 2}}), packing, 5);
    ASSERT_EQ(table.rows(), 1);
    EXPECT_EQ(read_row(table, 0).inputs, (Row{1, 2, 999, 999, 999}));
    EXPECT_EQ(read_row(table, 0).targets, (Row{2, kNone, kNone, kNone, kNone}));
  }
  EXPECT_EQ(RowTable(view({{1}}), Packing::kStream, 5).rows(), 0);
  EXPECT_EQ(RowTable(view({}), Packing::kDocuments, 5).rows(), 0);
}

TEST_F(RowTableTest, ChunksDropTails) {
  const RowTable table(view({{1, 2, 3, 4, 5, 6}, {7, 8}, {9, 10, 11}}), Packing::kChunks, 2);
  ASSERT_EQ(table.rows(), 3);
  EXPECT_EQ(read_row(table, 0).inputs, (Row{1, 2}));
  EXPECT_EQ(read_row(table, 1).inputs, (Row{3, 4}));
  EXPECT_EQ(read_row(table, 1).targets, (Row{4, 5}));
  EXPECT_EQ(read_row(table, 2).inputs, (Row{9, 10}));
  EXPECT_EQ(read_row(table, 2).targets, (Row{10, 11}));
  EXPECT_EQ(table.dropped_tokens(), 3);  // 6, 7 and 8
}

// What must hold for any documents, packing and length, from the definition: tokens in order, the token after as
// target unless a document ends there, positions counted from the start of each piece.
class RowProperties
    : public ::testing::TestWithParam<std::tuple<std::int64_t, std::int64_t, std::int64_t>> {};

TEST_P(RowProperties, HoldForEveryRow) {
  const auto [count, longest, length] = GetParam();
  const test::TemporaryFolder folder;
  const Documents documents = test::counting_documents(count, longest, "rows");
  std::vector<std::int32_t> text;
  std::vector<bool> starts;
  for (const auto& document : documents) {
    starts.resize(text.size() + document.size(), false);
    starts[text.size()] = true;
    text.insert(text.end(), document.begin(), document.end());
  }
  const TokenView view(test::make_store(folder / "a.tokens", documents, 50));
  const auto size = static_cast<std::int64_t>(text.size());
  for (const Packing packing : {Packing::kDocuments, Packing::kStream}) {
    const RowTable table(view, packing, length);
    ASSERT_EQ(table.rows(), (size - 1 + length - 1) / length);
    for (std::int64_t row = 0; row < table.rows(); ++row) {
      const ReadRow read = read_row(table, row);
      std::int32_t position = 0;
      std::vector<std::int64_t> borders;
      for (std::int64_t t = 0; t < length; ++t) {
        const std::int64_t at = row * length + t;
        const auto here = static_cast<std::size_t>(t);
        const bool padding = at >= size;
        const bool border = packing == Packing::kDocuments &&
                            (at == size || (!padding && starts[static_cast<std::size_t>(at)]));
        position = t == 0 || border ? 0 : position + 1;
        if (border && t > 0) {
          borders.push_back(t);
        }
        const bool has_target = at + 1 < size && (packing == Packing::kStream ||
                                                  !starts[static_cast<std::size_t>(at + 1)]);
        ASSERT_EQ(read.inputs[here], padding ? 999 : text[static_cast<std::size_t>(at)]);
        ASSERT_EQ(read.targets[here], has_target ? text[static_cast<std::size_t>(at + 1)] : kNone);
        ASSERT_EQ(read.positions[here], position);
      }
      ASSERT_EQ(read.borders, borders);
    }
  }
}

TEST_P(RowProperties, ChunksAreFullRowsOfOneDocument) {
  const auto [count, longest, length] = GetParam();
  const test::TemporaryFolder folder;
  const Documents documents = test::counting_documents(count, longest, "rows");
  const RowTable table(TokenView(test::make_store(folder / "a.tokens", documents, 50)),
                       Packing::kChunks, length);
  std::int64_t row = 0;
  std::int64_t unread = 0;
  for (const auto& document : documents) {
    const auto tokens = static_cast<std::int64_t>(document.size());
    std::int64_t begin = 0;
    for (; begin + length + 1 <= tokens; begin += length, ++row) {
      const ReadRow read = read_row(table, row);
      ASSERT_TRUE(std::equal(read.inputs.begin(), read.inputs.end(), document.begin() + begin));
      ASSERT_TRUE(
          std::equal(read.targets.begin(), read.targets.end(), document.begin() + begin + 1));
      ASSERT_TRUE(read.borders.empty());
    }
    unread += begin == 0 ? tokens : tokens - begin - 1;
  }
  EXPECT_EQ(table.rows(), row);
  EXPECT_EQ(table.dropped_tokens(), unread);
}

INSTANTIATE_TEST_SUITE_P(Sizes,
                         RowProperties,
                         ::testing::Values(std::tuple(1, 1, 4),
                                           std::tuple(1, 200, 7),
                                           std::tuple(40, 1, 6),
                                           std::tuple(40, 30, 8),
                                           std::tuple(40, 30, 1),
                                           std::tuple(7, 100, 13),
                                           std::tuple(5, 9, 64)));

}  // namespace
}  // namespace clausius
