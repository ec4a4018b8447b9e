// SPDX-License-Identifier: Apache-2.0
// Strict YAML in, YAML out.
#include "core/io/yaml.h"

#include <gtest/gtest.h>

namespace clausius {
namespace {

ConfigNode parse(std::string_view text) {
  return parse_yaml(text, std::make_shared<const ConfigSource>(ConfigSource{"r.yaml", "/recipes"}));
}

std::string message_of(std::string_view text) {
  try {
    const ConfigNode node = parse(text);
    return "accepted: " + to_yaml(node);
  } catch (const ConfigError& error) {
    return error.what();
  }
}

TEST(Yaml, KeepsTextPlacesAndPaths) {
  const ConfigNode root =
      parse("model:\n  mixer: [softmax, {kind: 'lucid', window: 0x10}]\n  limit: ~\n");
  const ConfigNode& mixer = *root.find("model")->find("mixer");
  EXPECT_EQ(mixer.location.line, 2);
  EXPECT_EQ(mixer.location.column, 3);
  EXPECT_EQ(mixer.items[0].path, "model.mixer.0");
  EXPECT_EQ(mixer.items[0].location.column, 11);
  const ConfigNode& window = *mixer.items[1].find("window");
  EXPECT_EQ(window.path, "model.mixer.1.window");
  EXPECT_EQ(window.location.column, 36);
  EXPECT_EQ(scalar_type(window), ScalarType::kInteger);
  EXPECT_TRUE(mixer.items[1].find("kind")->quoted);
  EXPECT_TRUE(root.find("model")->find("limit")->is_null());
}

TEST(Yaml, ScalarTypesAreThoseOfTheCoreSchema) {
  const auto type = [](std::string text) {
    return scalar_type(ConfigNode::scalar(std::move(text)));
  };
  for (const char* text : {"0", "-3", "+7", "12345678901234567890", "0o17", "0xfF"}) {
    EXPECT_EQ(type(text), ScalarType::kInteger) << text;
  }
  for (const char* text :
       {"1.", ".5", "-0.5", "1e3", "1.0E-3", "+2.5e+7", ".inf", "-.Inf", ".nan"}) {
    EXPECT_EQ(type(text), ScalarType::kReal) << text;
  }
  for (const char* text : {"", "null", "Null", "NULL", "~"}) {
    EXPECT_EQ(type(text), ScalarType::kNull) << text;
  }
  for (const char* text : {"yes", "on", "True", "1_000", "1e", ".", "-", "+", "e3", "0o8", "0x",
                           "1.5.2", "-.nan", "5%", "0b1"}) {
    EXPECT_EQ(type(text), ScalarType::kText) << text;
  }
}

TEST(Yaml, RefusesWhatRecipesDoNotNeed) {
  EXPECT_EQ(message_of("a: 1\nb: 2\na: 3\n"),
            "r.yaml:3:1: duplicate key 'a'; it is also in line 1");
  EXPECT_EQ(message_of("x: {a: 1, a: 2}"), "r.yaml:1:11: duplicate key 'a'; it is also in line 1");
  EXPECT_EQ(message_of("a: &x {b: 1}\nc: {<<: *x}"),
            "r.yaml:2:5: the merge key '<<'; write the keys out, or let the recipe extend another");
  EXPECT_EQ(message_of("a: !!str 3"),
            "r.yaml:1:4: the tag 'tag:yaml.org,2002:str'; recipes have none");
  EXPECT_EQ(message_of("a: !x [3]"), "r.yaml:1:4: the tag '!x'; recipes have none");
  EXPECT_EQ(message_of("a: 1\n---\nb: 2\n"),
            "r.yaml:2:1: a second document; one file holds one recipe");
  EXPECT_EQ(message_of("? [a]\n: 1"), "r.yaml:1:3: a list or map as a key");
  EXPECT_EQ(message_of("null: 1"), "r.yaml:1:1: an empty key");
  EXPECT_EQ(message_of("a: &x [*x]"), "r.yaml:1:8: an alias inside its own anchor");
  EXPECT_EQ(message_of(""), "r.yaml: empty");
  EXPECT_EQ(message_of("# only a comment\n"), "r.yaml: empty");
  EXPECT_EQ(message_of("a: [1, 2"), "r.yaml:1:1: not valid YAML: end of sequence flow not found");
  EXPECT_EQ(message_of("a:\tb: 3\n c"), "r.yaml:1:5: not valid YAML: illegal map value");
}

TEST(Yaml, RefusesEmptyValues) {
  const std::string hint = "; write null for none, {} for a block with its defaults";
  EXPECT_EQ(message_of("qk_clip:\nlayers: 3\n"), "r.yaml:1:1: empty value of 'qk_clip'" + hint);
  EXPECT_EQ(message_of("a: {b: , c: 1}"), "r.yaml:1:5: empty value of 'b'" + hint);
  EXPECT_EQ(message_of("a:\n  -\n  - 2"), "r.yaml:3:3: empty value" + hint);
  // The place in the text is found past wide characters and carriage returns.
  EXPECT_EQ(message_of("t: \"\xC3\xA9\xE2\x82\xAC\"\r\nb: ~\r\nc: null\r\nd: [Null, NULL]\r\n"),
            "accepted: t: \"\xC3\xA9\xE2\x82\xAC\"\nb: null\nc: null\nd: [null, null]\n");
  EXPECT_EQ(message_of("\xEF\xBB\xBFt: null"), "accepted: t: null\n");
}

TEST(Yaml, CapsDepthAndSize) {
  EXPECT_EQ(message_of("a: " + std::string(70, '[') + std::string(70, ']')),
            "r.yaml:1:67: more than 64 levels");
  std::string laughs = "a: &a [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    laughs += std::string{c, ':', ' ', '&', c} + " [";
    for (int i = 0; i < 10; ++i) {
      laughs += std::string(i == 0 ? "" : ", ") + "*" + static_cast<char>(c - 1);
    }
    laughs += "]\n";
  }
  EXPECT_EQ(message_of(laughs), "r.yaml:5:36: more than 100000 nodes");
  EXPECT_EQ(message_of("a: " + std::string(1 << 20, 'x')),
            "r.yaml: larger than 1 MiB; is this a recipe?");
  EXPECT_EQ(message_of("- " + std::string(1000, '[') + std::string(1000, ']')),
            "r.yaml:1:1: not valid YAML: bad file");
  std::string wide;
  for (int i = 0; i <= 1000; ++i) {
    wide += "k" + std::to_string(i) + ": 0\n";
  }
  EXPECT_EQ(message_of(wide), "r.yaml:1001:1: more than 1000 keys in one map");
}

TEST(Yaml, FollowsAnchors) {
  const ConfigNode root = parse("a: &x {b: 1}\nc: *x\nd: [*x]\n");
  EXPECT_TRUE(same_value(*root.find("a"), *root.find("c")));
  EXPECT_EQ(root.find("c")->location.line, 2);
  EXPECT_EQ(root.find("d")->items[0].find("b")->path, "d.0.b");
}

TEST(Yaml, WritesWhatItReads) {
  const std::string text =
      "name: run\n"
      "quoted: \"12\"\n"
      "old_flag: \"yes\"\n"
      "old_date: \"2026-01-31\"\n"
      "old_number: \"1_000\"\n"
      "odd: \"a: b # c\\n\\\"\\\\\\x01\"\n"
      "\"key: odd\": 1.5e-7\n"
      "duration: 5%\n"
      "empty: {}\n"
      "none: []\n"
      "list: [1, two, \"3\", \"\", null]\n"
      "map:\n"
      "  deep:\n"
      "    leaf: true\n"
      "blocks:\n"
      "  - kind: a\n"
      "    inner:\n"
      "      x: 1\n"
      "  - kind: b\n"
      "nested:\n"
      "  - - [1, 2]\n"
      "    - x: 1\n"
      "  - []\n";
  const ConfigNode root = parse(text);
  EXPECT_EQ(to_yaml(root), text);
  EXPECT_TRUE(same_value(parse(to_yaml(root)), root));
}

TEST(Yaml, NumbersRoundTripInTheShortestText) {
  for (const auto& [value, text] :
       std::vector<std::pair<double, std::string>>{{0.1, "0.1"},
                                                   {1.0, "1.0"},
                                                   {0.0, "0.0"},
                                                   {1e-5, "1.0e-5"},
                                                   {1.25e-7, "1.25e-7"},
                                                   {1e22, "1.0e+22"},
                                                   {-3e300, "-3.0e+300"},
                                                   {1e100, "1.0e+100"},
                                                   {1.0 / 3.0, "0.3333333333333333"}}) {
    EXPECT_EQ(ConfigNode::number(value).text, text);
    EXPECT_EQ(std::stod(text), value);
    EXPECT_EQ(scalar_type(ConfigNode::number(value)), ScalarType::kReal);
  }
}

}  // namespace
}  // namespace clausius
