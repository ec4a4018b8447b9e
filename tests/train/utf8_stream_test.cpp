// SPDX-License-Identifier: Apache-2.0
// Text that arrives byte by byte.
#include "train/utf8_stream.h"

#include <random>

#include <gtest/gtest.h>

namespace clausius {
namespace {

constexpr const char* kLost = "\xEF\xBF\xBD";

std::string all_of(const std::string& bytes, std::size_t piece) {
  Utf8Stream stream;
  std::string out;
  for (std::size_t begin = 0; begin < bytes.size(); begin += piece) {
    out += stream.push(std::string_view(bytes).substr(begin, piece));
  }
  return out + stream.finish();
}

TEST(Utf8Stream, HoldsBackUnfinishedCharacters) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xC3"), "a");
  EXPECT_EQ(stream.push("\xA9z"), "\xC3\xA9z");
  EXPECT_EQ(stream.push("\xF0\x9F\x98"), "");
  EXPECT_EQ(stream.push("\x80"), "\xF0\x9F\x98\x80");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8Stream, WrongBytesAreReplacedOneBeginningAtATime) {
  const std::string lost = kLost;
  EXPECT_EQ(all_of("a\x80"
                   "b",
                   8),
            "a" + lost + "b");
  EXPECT_EQ(all_of("\xF0\x9F\x98"
                   "b",
                   8),
            lost + "b");                                     // a beginning that breaks off: one
  EXPECT_EQ(all_of("\xC0\xAF", 8), lost + lost);             // overlong
  EXPECT_EQ(all_of("\xED\xA0\x80", 8), lost + lost + lost);  // a surrogate
  EXPECT_EQ(all_of("\xF4\x90\x80\x80", 8), lost + lost + lost + lost);  // beyond U+10FFFF
  EXPECT_EQ(all_of("a\xE2\x82", 8), "a" + lost);  // the text ends inside a character
  EXPECT_EQ(well_formed_utf8("a\x80\xE2\x82"), "a" + lost + lost);
}

TEST(Utf8Stream, PiecesDoNotMatter) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::string bytes;
    for (int i = 0; i < 40; ++i) {
      constexpr std::string_view kCommon = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xED\xA0\xFF";
      bytes += kCommon[random() % kCommon.size()];
    }
    const std::string whole = all_of(bytes, bytes.size());
    EXPECT_EQ(all_of(bytes, 1), whole);
    EXPECT_EQ(all_of(bytes, 3), whole);
    EXPECT_EQ(all_of(whole, 2), whole);  // what comes out is well-formed
  }
}

}  // namespace
}  // namespace clausius
