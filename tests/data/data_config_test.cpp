// SPDX-License-Identifier: Apache-2.0
// The recipe keys of the language data kinds.
#include <gtest/gtest.h>

#include "core/io/yaml.h"
#include "data/text_data.h"
#include "data/tokens_data.h"
#include "tests/data/files.h"

namespace clausius {
namespace {

using test::error_of;

Choice<Dataset> read(const std::string& yaml) {
  const auto source =
      std::make_shared<ConfigSource>(ConfigSource{.name = "recipe.yaml", .directory = "/here"});
  Choice<Dataset> choice;
  ReadLog log;
  read_config(parse_yaml(yaml, source), choice, log);
  return choice;
}

TEST(DataConfig, DefaultsAreThoseOfTheRecipeLanguage) {
  const Choice<Dataset> choice = read("{kind: text, train: a.txt, context_length: 8}");
  const auto* config = choice.get_if<TextConfig>();
  ASSERT_NE(config, nullptr);
  ASSERT_EQ(config->train.size(), 1U);
  EXPECT_EQ(config->train[0].path, "/here/a.txt");
  EXPECT_FALSE(config->validation);
  EXPECT_EQ(config->validation_ratio, 0.01);
  EXPECT_EQ(config->packing, Packing::kDocuments);
  EXPECT_TRUE(config->append_eos);
  EXPECT_TRUE(config->shuffle);
  EXPECT_EQ(config->prefetch, 2);
  EXPECT_EQ(config->text.format, TextFormat::kAuto);
  EXPECT_EQ(config->text.documents, DocumentRule::kFile);
  EXPECT_EQ(config->text.text_key, "text");
  EXPECT_EQ(config->tokenizer.kind(), "byte");
  const DataTraits traits = choice.facts();
  EXPECT_EQ(traits.context_length, 8);
  EXPECT_TRUE(traits.packs_documents);
  EXPECT_FALSE(traits.endless);
  EXPECT_FALSE(
      read("{kind: tokens, train: a, context_length: 8, packing: chunks}").facts().packs_documents);
}

TEST(DataConfig, SourcesAreAPathAListOrAMixture) {
  const auto parts = [](const std::string& train) {
    return parts_of(
        read("{kind: text, context_length: 8, train: " + train + "}").get_if<TextConfig>()->train);
  };
  EXPECT_EQ(parts("/a").size(), 1U);
  const auto list = parts("[/a, /b]");
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].paths, (std::vector<std::filesystem::path>{"/a", "/b"}));
  const auto mixture = parts("[{path: /a, weight: 3}, {path: /b, weight: 1}]");
  ASSERT_EQ(mixture.size(), 2U);
  EXPECT_EQ(mixture[0].weight, 3.0);
  EXPECT_EQ(mixture[1].paths, (std::vector<std::filesystem::path>{"/b"}));
}

TEST(DataConfig, TheResolvedRecipeReadsBack) {
  for (const std::string yaml :
       {"{kind: text, train: [/a, /b], context_length: 8, validation: /c, packing: stream, "
        "documents: line}",
        "{kind: text, train: [{path: /a, weight: 3}, {path: /b, weight: 1}], context_length: 8}",
        "{kind: tokens, train: /a.bin, context_length: 8, format: nanogpt, token_dtype: u32, "
        "validation_ratio: 0.25}"}) {
    const Choice<Dataset> choice = read(yaml);
    const std::string resolved = to_yaml(write_config(choice));
    EXPECT_EQ(to_yaml(write_config(read(resolved))), resolved);
  }
}

TEST(DataConfig, ImpossibleCombinationsAreRefused) {
  const auto message = [](const std::string& keys) {
    return error_of<ConfigError>(
        [&] { (void)read("{kind: text, context_length: 8, " + keys + "}"); });
  };
  EXPECT_NE(message("train: [{path: a, weight: 1}, b]")
                .find("key 'train': 1 of 2 sources have a weight; expected all (a mixture) or none "
                      "(read one after the other)"),
            std::string::npos);
  EXPECT_NE(message("train: []").find("expected at least one path"), std::string::npos);
  EXPECT_NE(message("train: a, validation: b, validation_ratio: 0.5")
                .find("key 'validation_ratio': validation has sources of its own; take one of the "
                      "two away"),
            std::string::npos);
  EXPECT_NE(message("train: a, validation: [{path: a, weight: 1}, {path: b, weight: 1}]")
                .find("weights have no effect here"),
            std::string::npos);
  EXPECT_NE(message("train: {path: a, weight: 0}").find("out of range"), std::string::npos);
  EXPECT_NE(message("train: a, packing: dense").find("documents, chunks, stream"),
            std::string::npos);
  EXPECT_NE(error_of<ConfigError>([] {
              (void)read("{kind: text, train: a, context_length: 1}");
            }).find("out of range"),
            std::string::npos);
  EXPECT_NE(error_of<ConfigError>([] {
              (void)read("{kind: tokens, train: a, context_length: 8, documents: line}");
            }).find("documents"),
            std::string::npos);
}

}  // namespace
}  // namespace clausius
