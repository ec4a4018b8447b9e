// SPDX-License-Identifier: Apache-2.0
// Which parameters a group takes, and the ranges that come of it.
#include "optim/param_groups.h"

#include <ostream>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/toy_parameters.h"

namespace clausius {

bool operator==(const UpdateRange& a, const UpdateRange& b) {
  return a.begin == b.begin && a.end == b.end && a.lr_scale == b.lr_scale &&
         a.weight_decay == b.weight_decay;
}
void PrintTo(const UpdateRange& range, std::ostream* out) {
  *out << '[' << range.begin << ", " << range.end << ") lr " << range.lr_scale << " decay "
       << range.weight_decay;
}

namespace {

using Ranges = std::vector<UpdateRange>;

class ParamGroups : public testing::Test {
 protected:
  ParamGroups() { test::fill_toy_store(store_); }
  Ranges ranges(const std::vector<ParamGroupConfig>& groups, double weight_decay = 0.1) {
    return update_ranges(store_, groups, weight_decay);
  }
  std::vector<std::string> frozen() {
    std::vector<std::string> paths;
    for (const Parameter& parameter : store_.parameters()) {
      if (parameter.frozen()) {
        paths.push_back(parameter.path());
      }
    }
    return paths;
  }

  ParameterStore store_;
};

TEST(Glob, MatchesLikeAShell) {
  const std::vector<std::pair<const char*, const char*>> matching = {
      {"*", ""},
      {"*", "a.b"},
      {"blocks.*", "blocks.0.mixer.qkv.weight"},
      {"*.bias", "blocks.0.mixer.qkv.q.bias"},
      {"blocks.?.norm.gain", "blocks.1.norm.gain"},
      {"*.qkv.*", "blocks.0.mixer.qkv.weight"},
      {"head.weight", "head.weight"},
      {"*a*a*", "banana"},
      {"", ""},
      {"a**b", "ab"},
  };
  const std::vector<std::pair<const char*, const char*>> different = {
      {"", "a"},
      {"?", ""},
      {"blocks.?.norm.gain", "blocks.10.norm.gain"},
      {"*.bias", "bias"},
      {"head", "head.weight"},
      {"weight", "head.weight"},
      {"*a*a*a*a*", "banana"},
      {"Head.*", "head.weight"},
      {"a.c", "abc"},
  };
  for (const auto& [glob, name] : matching) {
    EXPECT_TRUE(glob_matches(glob, name)) << glob << " on " << name;
  }
  for (const auto& [glob, name] : different) {
    EXPECT_FALSE(glob_matches(glob, name)) << glob << " on " << name;
  }
}

// Padding belongs to the parameter before it, and neighbours with equal factors are one range.
TEST_F(ParamGroups, WithoutGroupsOnlyDecayDiffers) {
  EXPECT_EQ(ranges({}), (Ranges{{0, 16, 1.0, 0.1},
                                {16, 48, 1.0, 0.0},
                                {48, 80, 1.0, 0.1},
                                {80, 96, 1.0, 0.0},
                                {96, 128, 1.0, 0.1}}));
  EXPECT_EQ(ranges({}, 0.0), (Ranges{{0, 128, 1.0, 0.0}}));
}

TEST_F(ParamGroups, TheFirstMatchWins) {
  EXPECT_EQ(
      ranges({{.match = {"blocks.*"}, .lr_scale = 2.0},
              {.match = {"*"}, .role = {GroupRole::kMatrix, GroupRole::kHead}, .lr_scale = 3.0}}),
      (Ranges{{0, 16, 1.0, 0.1},
              {16, 32, 1.0, 0.0},
              {32, 48, 2.0, 0.0},
              {48, 80, 2.0, 0.1},
              {80, 96, 2.0, 0.0},
              {96, 112, 2.0, 0.1},
              {112, 128, 3.0, 0.1}}));
}

TEST_F(ParamGroups, NameAndRoleMustBothMatch) {
  EXPECT_EQ(ranges({{.match = {"blocks.*"},
                     .role = {GroupRole::kGain, GroupRole::kEmbedding},
                     .weight_decay = 0.5}},
                   0.0),
            (Ranges{{0, 32, 1.0, 0.0}, {32, 48, 1.0, 0.5}, {48, 128, 1.0, 0.0}}));
}

TEST_F(ParamGroups, SeveralGlobsAreAlternatives) {
  EXPECT_EQ(ranges({{.match = {"head.*", "embedding.*"}, .lr_scale = 0.5}}, 0.0),
            (Ranges{{0, 16, 0.5, 0.0}, {16, 112, 1.0, 0.0}, {112, 128, 0.5, 0.0}}));
}

TEST_F(ParamGroups, AWrittenDecayHoldsForEveryRole) {
  EXPECT_EQ(ranges({{.weight_decay = 0.25}}), (Ranges{{0, 128, 1.0, 0.25}}));
  EXPECT_EQ(
      ranges({{.role = {GroupRole::kEmbedding}, .weight_decay = 0.0}}),
      (Ranges{{0, 48, 1.0, 0.0}, {48, 80, 1.0, 0.1}, {80, 96, 1.0, 0.0}, {96, 128, 1.0, 0.1}}));
}

// Rows of a reparametrised matrix, in the middle and at the end of a parameter: its padding follows the rule of the parameter.
TEST_F(ParamGroups, ElementsWithoutALengthDoNotDecayUnlessAGroupSaysSo) {
  store_.find("blocks.0.mixer.qkv.weight")->exclude_from_decay({.begin = 3, .end = 9});
  store_.find("head.weight")->exclude_from_decay({.begin = 0, .end = 15});
  EXPECT_EQ(ranges({}), (Ranges{{0, 16, 1.0, 0.1},
                                {16, 48, 1.0, 0.0},
                                {48, 51, 1.0, 0.1},
                                {51, 57, 1.0, 0.0},
                                {57, 80, 1.0, 0.1},
                                {80, 96, 1.0, 0.0},
                                {96, 112, 1.0, 0.1},
                                {112, 128, 1.0, 0.0}}));
  EXPECT_EQ(ranges({{.weight_decay = 0.25}}), (Ranges{{0, 128, 1.0, 0.25}}));
}

TEST_F(ParamGroups, FrozenParametersAreNoRangeAndNoLeaf) {
  EXPECT_EQ(ranges({{.match = {"*.weight"}, .frozen = true}}, 0.0),
            (Ranges{{16, 48, 1.0, 0.0}, {80, 112, 1.0, 0.0}}));
  EXPECT_EQ(frozen(), (std::vector<std::string>{"embedding.weight", "blocks.0.mixer.qkv.weight",
                                                "head.weight"}));
  // Other groups thaw them again.
  EXPECT_EQ(ranges({}, 0.0), (Ranges{{0, 128, 1.0, 0.0}}));
  EXPECT_TRUE(frozen().empty());
  EXPECT_EQ(ranges({{.frozen = true}}), Ranges{});
}

TEST_F(ParamGroups, AGroupThatMatchesNothingIsAMistake) {
  try {
    (void)ranges({{.match = {"*"}}, {.match = {"*.weigth"}, .lr_scale = 2.0}});
    ADD_FAILURE() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "optimizer.groups.1 matches no parameter (match: *.weigth); `clausius inspect` "
                 "prints the names");
  }
  EXPECT_THROW((void)ranges({{.role = {GroupRole::kGamma}}}), ConfigError);
  // Hidden behind an earlier group it still names parameters that exist: no mistake.
  EXPECT_NO_THROW((void)ranges({{.match = {"*"}}, {.match = {"head.*"}}}));
}

}  // namespace
}  // namespace clausius
