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

TEST(TextData, BatchesDecodeToTheText) {
  const test::TemporaryFolder folder;
  const std::string text = sample_text(1000);
  const auto data = make_text_dataset({.train = {{.paths = {folder.write("a.txt", text)}}},
                                       .validation_ratio = 0.0,
                                       .context_length = 64,
                                       .packing = Packing::kStream,
                                       .shuffle = false},
                                      {.seed = 1});
  EXPECT_EQ(data->facts().vocab_size, 257);
  EXPECT_EQ(data->facts().train_samples, 16);
  EXPECT_EQ(data->validation(), nullptr);
  const Batch batch = data->train().read(0, 16);
  EXPECT_EQ(data->tokenizer()->decode(batch.inputs_BT.span<std::int32_t>()), text);
  EXPECT_EQ(batch.weight, 1000.0);       // every byte but the first, and the end of the text
  EXPECT_EQ(batch.target_bytes, 999.0);  // the end of the text has no bytes
  EXPECT_FALSE(batch.cu_seqlens.defined());
  EXPECT_EQ(data->summary(), "train 1001 tokens, 16 rows of 64 an epoch");
}

TEST(TextData, AnEpochHoldsEveryRowOnceAndRepeatsInAnotherOrder) {
  const test::TemporaryFolder folder;
  const auto data =
      make_text_dataset({.train = {{.paths = {folder.write("a.txt", sample_text(3000))}}},
                         .validation_ratio = 0.0,
                         .context_length = 16},
                        {.seed = 1});
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

}  // namespace
}  // namespace clausius
