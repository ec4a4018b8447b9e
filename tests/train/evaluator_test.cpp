// SPDX-License-Identifier: Apache-2.0
// Validation loss: sums over samples, whatever the micro-batch and the number of ranks.
#include "train/evaluator.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/support/op_case.h"
#include "tests/train/fake_communicator.h"
#include "tests/train/tiny_model.h"

namespace clausius {
namespace {

class Evaluate : public testing::Test {
 protected:
  Evaluate() : model_(test::make_tiny_model(Dtype::kF64)), entropy_(model_->heads_per_layer()) {
    set_num_threads(1);
  }
  EvaluationReport run(const SampleSequence& data, std::int64_t samples, std::int64_t micro_batch) {
    entropy_.reset();
    return evaluate(*model_, data, samples, micro_batch, ranks_, entropy_);
  }

  std::unique_ptr<DecoderLm> model_;
  test::FakeCommunicator ranks_;
  EntropyTotals entropy_;
};

TEST_F(Evaluate, MeansOverScoredTokens) {
  const test::TinySequence data(9);
  double sum = 0;
  double targets = 0;
  {
    const NoGrad no_grad(model_->parameters());
    for (std::int64_t row = 0; row < 9; ++row) {
      const Batch batch = test::tiny_batch(row, 1);
      sum += model_->forward_loss(batch, {}).loss_sum.value().item();
      targets += batch.weight;
    }
  }
  for (const std::int64_t micro_batch : {1, 2, 4, 9, 100}) {
    const EvaluationReport report = run(data, 9, micro_batch);
    EXPECT_NEAR(report.val_loss, sum / targets, 1e-14);
    // Two bytes a token.
    EXPECT_NEAR(report.val_bits_per_byte, sum / targets / std::log(2.0) / 2, 1e-14);
    EXPECT_EQ(report.samples, 9);
    EXPECT_EQ(entropy_.report()[0][0].rows, 9.0 * test::kTinyLength);
  }
}

TEST_F(Evaluate, TakesTheFirstSamplesAndNoMoreThanThereAre) {
  const test::TinySequence data(9);
  EXPECT_EQ(run(data, 4, 3).samples, 4);
  EXPECT_EQ(data.rows_read(), (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(run(data, 1000, 4).samples, 9);
}

TEST_F(Evaluate, LeavesTheModelAlone) {
  const Tensor weights = model_->parameters().master().clone();
  model_->parameters().gradients().fill(3.0);
  (void)run(test::TinySequence(4), 4, 2);
  test::expect_bits_equal(model_->parameters().master(), weights, "weights");
  for (const double gradient : model_->parameters().gradients().span<double>()) {
    ASSERT_EQ(gradient, 3.0);
  }
}

TEST_F(Evaluate, RanksShareTheSamples) {
  for (const int ranks : {1, 2, 3, 4, 7}) {
    std::vector<std::int64_t> rows;
    for (int rank = 0; rank < ranks; ++rank) {
      const test::TinySequence data(9);
      test::FakeCommunicator communicator(rank, ranks);
      communicator.others["validation loss"] = 1.0;  // of loss, targets and bytes
      (void)evaluate(*model_, data, 5, 2, communicator, entropy_);
      rows.insert(rows.end(), data.rows_read().begin(), data.rows_read().end());
    }
    EXPECT_EQ(rows, (std::vector<std::int64_t>{0, 1, 2, 3, 4})) << ranks << " ranks";
  }
}

TEST_F(Evaluate, SumsOfOtherRanksCount) {
  const test::TinySequence data(2);
  const double targets = test::tiny_batch(0, 2).weight;
  const double alone = run(data, 2, 2).val_loss;
  ranks_.others["validation loss"] = 4.0;
  EXPECT_NEAR(run(data, 2, 2).val_loss, (alone * targets + 4.0) / (targets + 4.0), 1e-14);
}

TEST_F(Evaluate, NothingToScoreIsAnError) {
  const test::TinySequence data(0);
  EXPECT_THROW((void)run(data, 5, 2), DataError);
}

}  // namespace
}  // namespace clausius
