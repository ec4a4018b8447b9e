// SPDX-License-Identifier: Apache-2.0
// JSON in and out.
#include "core/io/json.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clausius {
namespace {

std::string error_of(std::string_view text) {
  try {
    return "accepted: " + Json::parse(text, "f.json").dump();
  } catch (const DataError& error) {
    return error.what();
  }
}

TEST(Json, WritesWhatItReads) {
  const std::string text = R"({"z":null,"a":[1,-2,2.5,1e-7,1.0,true,"x\n\")"
                           "\xC3\xA9"
                           R"("],"o":{},"e":[],"big":9223372036854775807})";
  const Json value = Json::parse(text, "f.json");
  EXPECT_EQ(value.dump(), R"({"z":null,"a":[1,-2,2.5,1e-07,1.0,true,"x\n\")"
                          "\xC3\xA9"
                          R"("],"o":{},"e":[],"big":9223372036854775807})");
  EXPECT_EQ(Json::parse(value.dump(2), "f.json"), value);
  EXPECT_EQ(value.at("big").integer(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(value.at("a").array()[3].number(), 1e-7);
  EXPECT_EQ(value.object()[1].first, "a");
}

TEST(Json, Indents) {
  Json value;
  value.set("list", Json::Array{1, "two"});
  value.set("empty", Json::Object{});
  EXPECT_EQ(value.dump(2), "{\n  \"list\": [\n    1,\n    \"two\"\n  ],\n  \"empty\": {}\n}");
}

TEST(Json, WritesNoInvalidDocuments) {
  EXPECT_EQ(Json(std::numeric_limits<double>::quiet_NaN()).dump(), "null");
  EXPECT_EQ(Json(-std::numeric_limits<double>::infinity()).dump(), "null");
  EXPECT_EQ(Json("\xFFx").dump(), "\"\xEF\xBF\xBDx\"");
}

TEST(Json, RefusesBadText) {
  EXPECT_EQ(error_of(R"({"a":1,"a":2})"),
            "f.json: not valid JSON: the key 'a' stands twice in one object");
  EXPECT_THAT(error_of("{"), testing::StartsWith("f.json: not valid JSON: "));
  EXPECT_THAT(error_of("[1] 2"), testing::StartsWith("f.json: not valid JSON: "));
  EXPECT_EQ(error_of(std::string(5000, '[')), "f.json: not valid JSON: more than 1000 levels");
}

TEST(Json, NamesWhatIsMissing) {
  const Json value = Json::parse(R"({"a":"text"})", "f.json");
  EXPECT_THROW(static_cast<void>(value.at("b")), DataError);
  try {
    static_cast<void>(value.at("a").integer());
    FAIL();
  } catch (const DataError& error) {
    EXPECT_STREQ(error.what(), "JSON: expected an integer, found \"text\"");
  }
}

}  // namespace
}  // namespace clausius
