// SPDX-License-Identifier: Apache-2.0
// TokenDataset: what a run sees over an epoch, on any number of ranks, in training and evaluation.
#include "data/token_dataset.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <gtest/gtest.h>

#include "core/allocator.h"
#include "data/loader.h"
#include "data/token_store_writer.h"
#include "data/tokenizer/byte.h"
#include "tests/data/files.h"

namespace clausius {
namespace {

using test::Documents;
using test::error_of;
using Ids = std::vector<std::int32_t>;

class TokenDatasetTest : public ::testing::Test {
 protected:
  std::shared_ptr<const TokenStore> store(const Documents& documents) {
    return test::make_store(folder_ / (std::to_string(stores_++) + ".tokens"), documents, 200);
  }
  TokenDatasetPlan plan(const Documents& documents, std::int64_t context_length, Packing packing) {
    return {.train = {{.store = store(documents)}},
            .packing = packing,
            .context_length = context_length,
            .seed = 3};
  }

  test::TemporaryFolder folder_;
  int stores_ = 0;
};

std::vector<Ids> rows_of(const Tensor& tensor) {
  std::vector<Ids> rows;
  const std::int64_t length = tensor.size(1);
  const auto values = tensor.span<std::int32_t>();
  for (std::int64_t row = 0; row < tensor.size(0); ++row) {
    rows.emplace_back(values.begin() + row * length, values.begin() + (row + 1) * length);
  }
  return rows;
}

// Tokens 0 .. n - 1 once each, so that counting tokens counts places.
Documents distinct_documents(std::int64_t count, std::int64_t longest) {
  Documents documents = test::counting_documents(count, longest, "distinct");
  std::int32_t next = 0;
  for (Ids& document : documents) {
    for (std::int32_t& id : document) {
      id = next++;
    }
  }
  return documents;
}

std::int64_t tokens_of(const Documents& documents) {
  std::int64_t tokens = 0;
  for (const Ids& document : documents) {
    tokens += std::ssize(document);
  }
  return tokens;
}

TEST_F(TokenDatasetTest, AnEpochHoldsEveryTokenOnce) {
  const Documents documents = distinct_documents(60, 25);
  const std::int64_t tokens = tokens_of(documents);
  ASSERT_LT(tokens, 999);
  for (const Packing packing : {Packing::kDocuments, Packing::kStream}) {
    for (const std::int64_t length : {1, 7, 16, 64, 2000}) {
      const TokenDataset data(plan(documents, length, packing));
      std::map<std::int32_t, int> inputs;
      std::map<std::int32_t, int> targets;
      double weight = 0.0;
      for (std::int64_t sample = 0; sample < data.train().epoch_size(); ++sample) {
        const Batch batch = data.train().read(sample, 1);
        weight += batch.weight;
        for (const std::int32_t id : batch.inputs_BT.span<std::int32_t>()) {
          ++inputs[id];
        }
        for (const std::int32_t id : batch.targets_BT.span<std::int32_t>()) {
          ++targets[id];
        }
      }
      targets.erase(kIgnoredTarget);
      inputs.erase(999);  // padding
      const bool last_is_input = (tokens - 1) % length != 0;
      ASSERT_EQ(std::ssize(inputs), tokens - (last_is_input ? 0 : 1));
      ASSERT_EQ(std::ssize(targets), tokens - (packing == Packing::kStream ? 1 : 60));
      ASSERT_TRUE(std::ranges::all_of(inputs, [](const auto& entry) { return entry.second == 1; }));
      ASSERT_TRUE(
          std::ranges::all_of(targets, [](const auto& entry) { return entry.second == 1; }));
      ASSERT_EQ(weight, static_cast<double>(targets.size()));
    }
  }
}

TEST_F(TokenDatasetTest, RanksAndMicroBatchesSeeTheSameSteps) {
  const TokenDataset data(plan(distinct_documents(60, 25), 16, Packing::kDocuments));
  const Batch whole = data.train().read(0, std::int64_t{3} * 13);
  for (const int ranks : {1, 2, 3, 4}) {
    for (const std::int64_t micro_batch : {1, 3, 13}) {
      std::vector<Ids> inputs;
      std::vector<Ids> targets;
      std::vector<Ids> positions;
      double weight = 0.0;
      std::vector<std::unique_ptr<Loader>> loaders;
      for (int rank = 0; rank < ranks; ++rank) {
        loaders.push_back(std::make_unique<Loader>(
            data.train(),
            LoaderPlan{
                .batch_samples = 13, .micro_batch = micro_batch, .rank = rank, .ranks = ranks}));
      }
      for (int step = 0; step < 3; ++step) {
        for (const auto& loader : loaders) {
          const std::optional<LoadedStep> loaded = loader->next();
          weight += loaded->weight;
          for (const Batch& batch : loaded->micro_batches) {
            std::ranges::copy(rows_of(batch.inputs_BT), std::back_inserter(inputs));
            std::ranges::copy(rows_of(batch.targets_BT), std::back_inserter(targets));
            std::ranges::copy(rows_of(batch.positions_BT), std::back_inserter(positions));
          }
        }
      }
      EXPECT_EQ(inputs, rows_of(whole.inputs_BT));
      EXPECT_EQ(targets, rows_of(whole.targets_BT));
      EXPECT_EQ(positions, rows_of(whole.positions_BT));
      EXPECT_EQ(weight, whole.weight);
    }
  }
}

TEST_F(TokenDatasetTest, CuSeqlensMarkEveryPiece) {
  TokenDatasetPlan ordered =
      plan({{1, 2, 3}, {4, 5}, {6, 7, 8, 9, 10}, {11, 12, 13, 14, 15, 16}}, 4, Packing::kDocuments);
  ordered.shuffle = false;
  const TokenDataset data(ordered);
  const Batch batch = data.train().read(0, 4);
  EXPECT_EQ(rows_of(batch.inputs_BT),
            (std::vector<Ids>{{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}, {13, 14, 15, 16}}));
  const auto starts = batch.cu_seqlens.span<std::int32_t>();
  EXPECT_EQ(Ids(starts.begin(), starts.end()), (Ids{0, 3, 4, 5, 8, 10, 12, 16}));
  EXPECT_FALSE(data.train().read(3, 1).cu_seqlens.defined());
  const auto ids = batch.sample_ids_B.span<std::int64_t>();
  EXPECT_EQ(std::vector<std::int64_t>(ids.begin(), ids.end()),
            (std::vector<std::int64_t>{0, 1, 2, 3}));
  // Positions are what cu_seqlens says.
  const auto positions = batch.positions_BT.span<std::int32_t>();
  for (std::size_t piece = 0; piece + 1 < starts.size(); ++piece) {
    for (std::int32_t at = starts[piece]; at < starts[piece + 1]; ++at) {
      EXPECT_EQ(positions[static_cast<std::size_t>(at)], at - starts[piece]);
    }
  }
}

TEST_F(TokenDatasetTest, EvaluationReadsEveryRowOnceInAFixedOrder) {
  const Documents documents = distinct_documents(60, 25);
  TokenDatasetPlan first = plan(documents, 8, Packing::kDocuments);
  first.validation_ratio = 0.3;
  TokenDatasetPlan second = first;
  second.seed = 77;
  const TokenDataset a(first);
  const TokenDataset b(second);
  ASSERT_NE(a.validation(), nullptr);
  const std::int64_t rows = a.validation()->epoch_size();
  EXPECT_EQ(rows, a.facts().validation_samples);
  const Batch all = a.validation()->read(0, rows);
  EXPECT_EQ(rows_of(all.inputs_BT), rows_of(b.validation()->read(0, rows).inputs_BT));
  EXPECT_NE(rows_of(a.train().read(0, 5).inputs_BT), rows_of(b.train().read(0, 5).inputs_BT));
  // No validation token is trained on, and the two together are the text.
  std::map<std::int32_t, int> count;
  const Batch train = a.train().read(0, a.train().epoch_size());
  for (const Batch* batch : {&all, static_cast<const Batch*>(&train)}) {
    for (const std::int32_t id : batch->targets_BT.span<std::int32_t>()) {
      ++count[id];
    }
  }
  count.erase(kIgnoredTarget);
  EXPECT_EQ(std::ssize(count), tokens_of(documents) - 60);
  EXPECT_TRUE(std::ranges::all_of(count, [](const auto& entry) { return entry.second == 1; }));
}

TEST_F(TokenDatasetTest, MixturesDrawByWeight) {
  const TokenDataset data({.train = {{.store = store({Ids(400, 1)}), .weight = 3.0},
                                     {.store = store({Ids(100, 2)}), .weight = 1.0}},
                           .packing = Packing::kStream,
                           .context_length = 10});
  const Batch batch = data.train().read(0, 400);
  std::map<std::int32_t, int> rows;
  for (const Ids& row : rows_of(batch.inputs_BT)) {
    ++rows[row[0]];
  }
  EXPECT_EQ(rows[1], 300);
  EXPECT_EQ(rows[2], 100);
  EXPECT_EQ(data.facts().train_samples, 50);
}

TEST_F(TokenDatasetTest, BytesAreThoseOfTheScoredTokens) {
  const ByteTokenizer tokenizer;
  TokenStoreWriter writer(folder_ / "bytes.tokens", tokenizer, "test");
  Ids text = tokenizer.encode("hello world");
  text.push_back(ByteTokenizer::kEndOfText);
  writer.append(text);
  writer.end_document();
  writer.append(text);
  writer.publish();
  for (const auto& [packing, weight, bytes] :
       {std::tuple(Packing::kStream, 23.0, 21.0), std::tuple(Packing::kDocuments, 22.0, 20.0)}) {
    const TokenDataset data({.train = {{.store = TokenStore::open(folder_ / "bytes.tokens")}},
                             .packing = packing,
                             .context_length = 5});
    const Batch batch = data.train().read(0, data.train().epoch_size());
    EXPECT_EQ(batch.weight, weight);
    EXPECT_EQ(batch.target_bytes, bytes);
    EXPECT_EQ(data.tokenizer()->kind(), "byte");
  }
  const TokenDataset unknown(plan({{1, 2, 3}}, 2, Packing::kStream));
  EXPECT_EQ(unknown.train().read(0, 1).target_bytes, 0.0);
  EXPECT_EQ(unknown.tokenizer(), nullptr);
}

TEST_F(TokenDatasetTest, EveryElementOfABatchIsWritten) {
  const PoisonFreshMemory poison;
  TokenDatasetPlan padded = plan({{1, 2, 3}}, 7, Packing::kDocuments);
  const Batch batch = TokenDataset(padded).train().read(0, 1);
  EXPECT_EQ(rows_of(batch.inputs_BT), (std::vector<Ids>{{1, 2, 3, 999, 999, 999, 999}}));
  EXPECT_EQ(rows_of(batch.targets_BT), (std::vector<Ids>{{2, 3, -100, -100, -100, -100, -100}}));
  EXPECT_EQ(rows_of(batch.positions_BT), (std::vector<Ids>{{0, 1, 2, 0, 1, 2, 3}}));
}

TEST_F(TokenDatasetTest, ErrorsSayWhatIsMissing) {
  EXPECT_EQ(error_of<DataError>([&] {
              (void)TokenDataset(plan({{1, 2}, {3}}, 4, Packing::kChunks));
            }),
            "data.train: 0.tokens has 3 tokens in 2 documents but no row: a row of packing chunks "
            "needs a document of 5 tokens");
  EXPECT_EQ(error_of<DataError>([&] { (void)TokenDataset(plan({{1}}, 4, Packing::kStream)); }),
            "data.train: 1.tokens has 1 tokens in 1 document but no row: a row of packing stream "
            "needs at least 2 tokens");
  TokenDatasetPlan mixed = plan({{1, 2, 3}}, 2, Packing::kStream);
  TokenStoreWriter writer(folder_ / "other.tokens", ByteTokenizer(), "other text");
  writer.append(Ids{1, 2, 3});
  writer.publish();
  mixed.validation.push_back(TokenStore::open(folder_ / "other.tokens"));
  EXPECT_EQ(error_of<DataError>([&] { (void)TokenDataset(mixed); }),
            "tokens of other text have tokenizer '" + ByteTokenizer().sha256() +
                "', those of 2.tokens have ''; parts of a data set must share their tokenizer");
}

}  // namespace
}  // namespace clausius
