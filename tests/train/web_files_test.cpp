// SPDX-License-Identifier: Apache-2.0
// Reading the files of a live run: lines, a file that grows, is cut and replaced, tables, bins, packed numbers.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/base64.h"
#include "tests/support/temporary_directory.h"
#include "train/web/bins.h"
#include "train/web/file_tail.h"
#include "train/web/metric_line.h"
#include "train/web/packing.h"
#include "train/web/run_names.h"
#include "train/web/table.h"

namespace clausius::web {
namespace {

using test::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::Pair;

void append(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::app) << text;
}

TEST(WebMetricLine, NamesEveryNumber) {
  const auto line = read_metric_line(
      R"( {"step": 12, "wall_time":1.5, "loss":2.25,"lr":null, "aux_losses":{"entropy":0.5,"z":-1e-3},)"
      R"("bands":[0.25,null],"entropy_mean":[[1.0,2.0],null],"alarms":["a ] \" b"],"note":"x","big":1e30} )");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->step, 12);
  EXPECT_EQ(line->number("loss"), 2.25);
  EXPECT_TRUE(std::isnan(line->number("lr")));
  EXPECT_EQ(line->number("aux_losses.entropy"), 0.5);
  EXPECT_EQ(line->number("aux_losses.z"), -1e-3);
  EXPECT_EQ(line->number("bands.0"), 0.25);
  EXPECT_TRUE(std::isnan(line->number("bands.1")));
  EXPECT_EQ(line->number("big"), 1e30);
  EXPECT_THAT(line->alarms, ElementsAre("a ] \" b"));
  EXPECT_THAT(line->tables, ElementsAre(Pair("entropy_mean", "[[1.0,2.0],null]")));
  EXPECT_EQ(line->numbers.size(), 8U);
  const auto event = read_metric_line(R"({"step":0,"event":"start","message":"a\\\"b\nc"})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->event, "start");
  EXPECT_EQ(event->message, "a\\\"b\nc");
}

TEST(WebMetricLine, PassesOverWhatIsNone) {
  for (const char* text :
       {"", "x", "[1]", "{}", "{\"loss\":1}", "{\"step\":1", "{\"step\":1.5}", "{\"step\":\"1\"}",
        "{\"step\":1,\"loss\":2}x", "{\"step\":1,\"loss\"}", "{\"step\":1 \"loss\":2}",
        "{\"step\":1,\"loss\":[1,2}", "{\"step\":1,\"bands\":[1,,2]}", "{\"step\":1,\"event\":\"a",
        "{\"step\":1,\"aux_losses\":{\"a\":}}", "{step:1}", "{\"step\":", "{\"step\":1,}", "\0"}) {
    EXPECT_FALSE(read_metric_line(text)) << text;
  }
}

TEST(WebFileTail, GivesWholeLinesAsTheyCome) {
  const TemporaryDirectory folder;
  FileTail tail(folder / "metrics.jsonl");
  EXPECT_EQ(tail.read().text, "");  // not there yet
  append(folder / "metrics.jsonl", "one\ntw");
  EXPECT_EQ(tail.read().text, "one\n");
  EXPECT_EQ(tail.read().text, "");
  append(folder / "metrics.jsonl", "o\nthree\n");
  const FileTail::Lines lines = tail.read();
  EXPECT_EQ(lines.text, "two\nthree\n");
  EXPECT_FALSE(lines.restarted);
  EXPECT_EQ(tail.read().text, "");
}

TEST(WebFileTail, ReadsInPiecesAndLinesLongerThanOne) {
  const TemporaryDirectory folder;
  const std::string text = "a\nbb\n" + std::string(100, 'c') + "\nd\n";
  append(folder / "metrics.jsonl", text);
  FileTail tail(folder / "metrics.jsonl");
  std::string all;
  for (std::string piece = tail.read(4).text; !piece.empty(); piece = tail.read(4).text) {
    EXPECT_EQ(piece.back(), '\n');
    all += piece;
  }
  EXPECT_EQ(all, text);
  EXPECT_EQ(tail.offset(), static_cast<std::int64_t>(text.size()));
}

TEST(WebFileTail, StartsOverForAFileThatWasCutOrReplaced) {
  const TemporaryDirectory folder;
  const std::filesystem::path file = folder / "metrics.jsonl";
  append(file, "one\ntwo\n");
  FileTail tail(file);
  EXPECT_EQ(tail.read().text, "one\ntwo\n");
  std::ofstream(file) << "ONE\n";  // cut
  FileTail::Lines lines = tail.read();
  EXPECT_TRUE(lines.restarted);
  EXPECT_EQ(lines.text, "ONE\n");
  std::ofstream(file)
      << "other\nlines\nof the same file, longer than before\n";  // cut, and grown again
  lines = tail.read();
  EXPECT_TRUE(lines.restarted);
  EXPECT_EQ(lines.text.substr(0, 6), "other\n");
  append(folder / "new", "other\nlines\nof the same file, longer than before\nand one\n");
  std::filesystem::rename(folder / "new", file);
  lines = tail.read();
  EXPECT_TRUE(lines.restarted);
  EXPECT_EQ(lines.text.substr(0, 6), "other\n");
  std::filesystem::remove(file);
  lines = tail.read();
  EXPECT_FALSE(lines.restarted);
  EXPECT_EQ(lines.text, "");
}

TEST(WebFileTail, ATornLastLineThatIsCutOffIsNoRestart) {
  const TemporaryDirectory folder;
  const std::filesystem::path file = folder / "metrics.jsonl";
  append(file, "one\ntorn");
  FileTail tail(file);
  EXPECT_EQ(tail.read().text, "one\n");
  std::filesystem::resize_file(file, 4);
  EXPECT_EQ(tail.read().text, "");
  append(file, "two\n");
  const FileTail::Lines lines = tail.read();
  EXPECT_FALSE(lines.restarted);
  EXPECT_EQ(lines.text, "two\n");
}

TEST(WebTable, ColumnsMayBeginLateAndThePastMayBeTakenBack) {
  Table table;
  table.add(1, {{"a", 1}});
  table.add(2, {{"a", 2}, {"b", 20}});
  table.add(3, {{"b", 30}});
  EXPECT_EQ(table.columns().at("a")[1], 2);
  EXPECT_TRUE(std::isnan(table.columns().at("a")[2]));
  EXPECT_TRUE(std::isnan(table.columns().at("b")[0]));
  EXPECT_EQ(table.last("b"), 30);
  EXPECT_TRUE(std::isnan(table.last("c")));
  EXPECT_FALSE(table.drop_later(3));
  EXPECT_TRUE(table.drop_later(2));
  EXPECT_THAT(table.steps(), ElementsAre(1, 2));
  EXPECT_EQ(table.last("b"), 20);
}

// What the bins of rows 0..rows-1 with step i and value f(i) must be.
void expect_bins(const Bins<double>& bins, std::int64_t rows, const std::vector<double>& values) {
  ASSERT_LE(bins.size(), kMostBins);
  EXPECT_EQ(bins.rows(), rows);
  std::int64_t next = 0;
  for (std::size_t bin = 0; bin < bins.size(); ++bin) {
    const std::int64_t end = bin == 0 ? 1 : std::min(next + bins.stride(), rows);
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    for (; next < end; ++next) {
      low = std::fmin(low, values[static_cast<std::size_t>(next)]);
      high = std::fmax(high, values[static_cast<std::size_t>(next)]);
    }
    ASSERT_EQ(bins.steps()[bin], end - 1) << "bin " << bin;
    ASSERT_EQ(bins.values(bin)[0], values[static_cast<std::size_t>(end - 1)]) << "bin " << bin;
    ASSERT_EQ(bins.low(bin)[0], low) << "bin " << bin;
    ASSERT_EQ(bins.high(bin)[0], high) << "bin " << bin;
  }
  EXPECT_EQ(next, rows);
}

TEST(WebBins, KeepLastLowAndHighOfEveryBinAtEveryLength) {
  Bins<double> bins(1);
  std::vector<double> values;
  for (std::int64_t row = 0; row < 4100; ++row) {
    values.push_back(std::sin(static_cast<double>(row * row)));
    bins.add(row, std::span(&values.back(), 1));
    if (row < 3 || row % 97 == 0 || (row > 990 && row < 1010) || row == 1998 || row == 1999) {
      expect_bins(bins, row + 1, values);
    }
  }
  EXPECT_EQ(bins.stride(), 8);
  expect_bins(bins, 4100, values);
}

TEST(WebBins, FullBinsStayWhileTheStrideDoes) {
  Bins<float> bins(2);
  for (std::int64_t row = 0; row < 2500; ++row) {
    const std::vector<float> before(bins.values(0).begin(), bins.values(0).end());
    const std::int64_t stride = bins.stride();
    const float values[2] = {static_cast<float>(row), static_cast<float>(-row)};
    bins.add(row, values);
    if (bins.stride() == stride && before.size() > 2) {
      ASSERT_EQ(std::memcmp(before.data(), bins.values(0).data(), 4 * (before.size() - 2)), 0);
    }
  }
}

TEST(WebBins, NoValueNeitherWidensNorHides) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Bins<float> bins(1);
  for (std::int64_t row = 0; row < 2001; ++row) {
    const float value = row == 1500 ? 7.0F : nan;
    bins.add(row, std::span(&value, 1));
  }
  const auto at = static_cast<std::size_t>((1500 + bins.stride() - 1) / bins.stride());
  EXPECT_EQ(bins.low(at)[0], 7.0F);
  EXPECT_EQ(bins.high(at)[0], 7.0F);
  EXPECT_TRUE(std::isnan(bins.low(at + 1)[0]));
}

TEST(WebPacking, Base64OfTheStandard) {
  const auto encoded = [](std::string_view text) { return base64(std::as_bytes(std::span(text))); };
  EXPECT_EQ(encoded(""), "");
  EXPECT_EQ(encoded("f"), "Zg==");
  EXPECT_EQ(encoded("fo"), "Zm8=");
  EXPECT_EQ(encoded("foo"), "Zm9v");
  EXPECT_EQ(encoded("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encoded("\xff\xfe\xfd"), "//79");
}

template <class Code>
void expect_packed(double largest) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> values = {nan, -2.5F, 4.0F, inf, -inf};
  for (int i = 0; i < 1000; ++i) {
    values.push_back(-2.5F + 6.5F * static_cast<float>(i) / 999.0F);
  }
  const Range range = range_of(values);
  EXPECT_EQ(range.low, -2.5);
  EXPECT_EQ(range.high, 4.0);
  const std::string bytes = test::from_base64(pack<Code>(values, range));
  ASSERT_EQ(bytes.size(), values.size() * sizeof(Code));
  std::vector<Code> codes(values.size());
  std::memcpy(codes.data(), bytes.data(), bytes.size());
  EXPECT_EQ(codes[0], 0);
  EXPECT_EQ(codes[1], 1);
  EXPECT_EQ(codes[2], static_cast<Code>(largest));
  EXPECT_EQ(codes[3], static_cast<Code>(largest));
  EXPECT_EQ(codes[4], 1);
  const double unit = 6.5 / (largest - 1);
  for (std::size_t i = 5; i < values.size(); ++i) {
    // Half a code, and the rounding of a product in f64.
    EXPECT_NEAR(-2.5 + (codes[i] - 1) * unit, static_cast<double>(values[i]), 0.5 * unit + 1e-14);
  }
}

TEST(WebPacking, QuantisedNumbersComeBackWithinHalfACode) {
  expect_packed<std::uint8_t>(255);
  expect_packed<std::uint16_t>(65535);
}

TEST(WebPacking, AConstantIsItself) {
  const std::vector<float> values = {0.5F, 0.5F};
  const std::string bytes = test::from_base64(pack<std::uint8_t>(values, range_of(values)));
  EXPECT_EQ(bytes, "\x01\x01");
  EXPECT_EQ(range_of({}).high, 0);
}

TEST(WebRunNames, AreAsLongAsTheyMustBe) {
  EXPECT_THAT(run_names({"runs/a", "runs/b/"}), ElementsAre("a", "b"));
  EXPECT_THAT(run_names({"x/a", "y/a", "y/b"}), ElementsAre("x/a", "y/a", "y/b"));
  EXPECT_THAT(run_names({"runs/a", "runs/../runs/a"}), ElementsAre("a (1)", "a (2)"));
}

}  // namespace
}  // namespace clausius::web
