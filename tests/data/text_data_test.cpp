// SPDX-License-Identifier: Apache-2.0
// Data kind `text` from files to batches.
#include "data/text_data.h"

#include <map>

#include <gtest/gtest.h>

#include "data/loader.h"
#include "data/tokenizer/byte.h"
#include "tests/data/files.h"

namespace clausius {
namespace {

std::string sample_text(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) {
    text += "line " + std::to_string(i * i % 977) + (i % 5 == 0 ? "\n\n" : "\n");
  }
  return text.substr(0, size);
}

TextConfig config_of(const std::vector<std::filesystem::path>& train, std::int64_t context_length) {
  TextConfig config;
  for (const std::filesystem::path& path : train) {
    config.train.push_back({.path = path});
  }
  config.validation_ratio = 0.0;
  config.context_length = context_length;
  return config;
}

TEST(TextData, BatchesDecodeToTheText) {
  const test::TemporaryFolder folder;
  const std::string text = sample_text(1000);
  TextConfig config = config_of({folder.write("a.txt", text)}, 64);
  config.packing = Packing::kStream;
  config.shuffle = false;
  const auto data = Choice<Dataset>("text", config).make(DataContext{.seed = 1});
  EXPECT_EQ(data->facts().vocab_size, 257);
  EXPECT_EQ(data->facts().train_samples, 16);
  EXPECT_EQ(data->validation(), nullptr);
  const Batch batch = data->train().read(0, 16);
  EXPECT_EQ(data->tokenizer()->decode(batch.inputs_BT.span<std::int32_t>()), text);
  EXPECT_EQ(batch.weight, 1000.0);       // every byte but the first, and the end of the text
  EXPECT_EQ(batch.target_bytes, 999.0);  // the end of the text has no bytes
  EXPECT_FALSE(batch.cu_seqlens.defined());
  EXPECT_EQ(data->summary(), "train 1001 tokens in 16 rows of 64");
}

TEST(TextData, AnEpochHoldsEveryRowOnceAndRepeatsInAnotherOrder) {
  const test::TemporaryFolder folder;
  const TextDataset text(config_of({folder.write("a.txt", sample_text(3000))}, 16), {.seed = 1});
  const Dataset* data = &text;
  const std::int64_t rows = data->train().epoch_size();
  const auto inputs = [&](std::int64_t epoch) {
    std::vector<std::vector<std::int32_t>> list;
    for (std::int64_t i = 0; i < rows; ++i) {
      const Batch batch = data->train().read(epoch * rows + i, 1);
      const auto row = batch.inputs_BT.span<std::int32_t>();
      list.emplace_back(row.begin(), row.end());
    }
    return list;
  };
  auto first = inputs(0);
  auto second = inputs(1);
  EXPECT_NE(first, second);
  std::ranges::sort(first);
  std::ranges::sort(second);
  EXPECT_EQ(first, second);
}

TEST(TextData, SaysWhatItDoes) {
  const test::TemporaryFolder folder;
  TextConfig config = config_of({folder.write("a.txt", "abcdefgh\nij\n")}, 3);
  config.text.documents = DocumentRule::kLine;
  config.packing = Packing::kChunks;
  std::vector<std::string> said;
  const DataContext context{
      .announce = [&](const std::string& message) { said.push_back(message); }};
  const TextDataset first(config, context);
  const TextDataset second(config, context);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].find("tokenizing 1 file (0.0 MB) into " + folder.path().native()), 0U);
  // 9 tokens make two rows of three and their last target, "ij" and its end make none.
  EXPECT_EQ(first.summary(), "train 12 tokens in 2 rows of 3 (5 tokens in tails dropped)");
  EXPECT_EQ(first.facts().fingerprint, second.facts().fingerprint);
  (void)folder.write("a.txt", "abcdefgh\nik\n");
  EXPECT_NE(TextDataset(config, {}).facts().fingerprint, first.facts().fingerprint);
}

TEST(TextData, ATokenizerOfACheckpointTakesThePlaceOfTheRecipes) {
  const test::TemporaryFolder folder;
  const TextConfig config = config_of({folder.write("a.txt", "some text")}, 4);
  EXPECT_EQ(TextDataset(config, {.tokenizer_json = ByteTokenizer().to_json()}).tokenizer()->kind(),
            "byte");
  EXPECT_THROW(TextDataset(config, {.tokenizer_json = "{}"}), DataError);
}

}  // namespace
}  // namespace clausius
