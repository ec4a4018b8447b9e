// SPDX-License-Identifier: Apache-2.0
// The numbers of a run: what follows from recipe, data and ranks, and what is refused.
#include "train/run_plan.h"

#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace clausius {
namespace {

const DataFacts kData{
    .vocab_size = 257, .context_length = 64, .train_samples = 1000, .validation_samples = 40};

RunPlan plan_of(const std::vector<std::string>& overrides,
                int ranks = 1,
                int cores = 2,
                const DataFacts& data = kData) {
  const Recipe recipe = parse_recipe(
      "data: {kind: text, train: t.txt, context_length: 64}\n"
      "model: {kind: decoder_lm, layers: 1, model_dim: 8, num_heads: 1}\n"
      "optimizer: {kind: sgd, lr: 0.1}\n",
      "r.yaml", "/", overrides);
  return plan_run(recipe, data, ranks, cores);
}

std::string refusal_of(const std::vector<std::string>& overrides,
                       int ranks = 1,
                       const DataFacts& data = kData) {
  try {
    (void)plan_of(overrides, ranks, 2, data);
    return "accepted";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

TEST(RunPlan, StepsOfFixedSize) {
  const RunPlan plan = plan_of({"train={steps: 30, batch_tokens: 1024}"});
  EXPECT_EQ(plan.steps, 30);
  EXPECT_EQ(plan.batch_samples, 16);
  EXPECT_EQ(plan.tokens_per_sample, 64);
  EXPECT_EQ(plan.end_sample, std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(plan.run.steps, 30);
  EXPECT_EQ(plan.run.tokens_per_step, 1024.0);
  EXPECT_EQ(plan.run.steps_per_epoch, 62.5);
}

// A run by tokens or epochs sees at least as many; the last step of an epoch run may be smaller.
TEST(RunPlan, TokensAndEpochsRoundUp) {
  EXPECT_EQ(plan_of({"train={tokens: 10240, batch_samples: 16}"}).steps, 10);
  EXPECT_EQ(plan_of({"train={tokens: 10241, batch_samples: 16}"}).steps, 11);
  const RunPlan epochs = plan_of({"train={epochs: 3, batch_samples: 16}"});
  EXPECT_EQ(epochs.end_sample, 3000);
  EXPECT_EQ(epochs.steps, 188);
}

TEST(RunPlan, MicroBatchesFitTheRankAndTheMachine) {
  const std::string big = "train={steps: 1, batch_samples: 300}";
  EXPECT_EQ(plan_of({big}).micro_batch, 128);     // 8192 tokens
  EXPECT_EQ(plan_of({big}, 3).micro_batch, 100);  // all of the rank's
  EXPECT_EQ(plan_of({big}, 4).micro_batch, 75);
  EXPECT_EQ(plan_of({big}, 299).micro_batch, 2);  // the largest rank has two
  EXPECT_EQ(plan_of({big, "train.micro_batch=7"}).micro_batch, 7);
  EXPECT_EQ(plan_of({big, "train.micro_batch=500"}).micro_batch, 300);
  DataFacts longer = kData;
  longer.context_length = 16384;
  EXPECT_EQ(plan_of({big}, 1, 2, longer).micro_batch, 1);
}

TEST(RunPlan, ThreadsAndBuckets) {
  const std::string train = "train={steps: 1, batch_samples: 8}";
  EXPECT_EQ(plan_of({train}, 1, 6).threads, 6);
  EXPECT_EQ(plan_of({train, "parallel.threads=3"}, 1, 6).threads, 3);
  EXPECT_EQ(plan_of({train}).bucket_bytes, 8 << 20);
  EXPECT_EQ(plan_of({train, "parallel.bucket_bytes=1024"}).bucket_bytes, 1024);
}

TEST(RunPlan, DurationsAreMeasuredByTheRun) {
  const RunPlan plan = plan_of({"train={steps: 200, batch_samples: 10}", "monitor.every=2%",
                                "checkpoint.every=0.5 epochs", "evaluate.every=12800 tokens",
                                "parallel.check_every=7"});
  EXPECT_EQ(plan.monitor_every, 4);
  EXPECT_EQ(plan.checkpoint_every, 50);
  EXPECT_EQ(plan.evaluate_every, 20);
  EXPECT_EQ(plan.check_every, 7);
  const RunPlan small = plan_of({"train={steps: 10, batch_samples: 10}", "monitor.every=1%",
                                 "checkpoint.every=3", "parallel.check_every=null"});
  EXPECT_EQ(small.monitor_every, 1);   // never less than a step
  EXPECT_EQ(small.evaluate_every, 3);  // auto: the checkpoint's
  EXPECT_EQ(small.check_every, 0);
}

TEST(RunPlan, EvaluationTakesAtMostTheValidationSamples) {
  const std::string train = "train={steps: 1, batch_samples: 8}";
  EXPECT_EQ(plan_of({train}).evaluate_samples, 40);
  EXPECT_EQ(plan_of({train, "evaluate.samples=all"}).evaluate_samples, 40);
  EXPECT_EQ(plan_of({train, "evaluate.samples=5"}).evaluate_samples, 5);
  DataFacts large = kData;
  large.validation_samples = 1'000'000;
  EXPECT_EQ(plan_of({train}, 1, 2, large).evaluate_samples, (1 << 20) / 64);
  EXPECT_EQ(plan_of({train, "evaluate.samples=all"}, 1, 2, large).evaluate_samples, 1'000'000);
}

TEST(RunPlan, RefusesWhatDoesNotFit) {
  EXPECT_EQ(refusal_of({"train={steps: 1, batch_samples: 2}"}, 3),
            "3 ranks share 2 samples a step; use at most as many ranks as samples "
            "(train.batch_tokens or train.batch_samples)");
  EXPECT_EQ(refusal_of({"train={steps: 1, batch_samples: 3}"}, 3), "accepted");
  DataFacts other = kData;
  other.context_length = 60;
  EXPECT_EQ(refusal_of({"train={steps: 1, batch_tokens: 1024}"}, 1, other),
            "train.batch_tokens 1024 is not a multiple of data.context_length 60");
  EXPECT_THAT(refusal_of({"train={steps: 1, batch_samples: 3}", "monitor.every=1 epoch"}, 1,
                         {.context_length = 64}),
              testing::HasSubstr("this data has no epochs"));
}

}  // namespace
}  // namespace clausius
