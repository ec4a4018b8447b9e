// SPDX-License-Identifier: Apache-2.0
// From recipe keys to numbers of steps, samples and bytes.
#include "train/run_plan.h"

#include <algorithm>
#include <limits>

#include "core/checked.h"
#include "core/error.h"

namespace clausius {
namespace {

// Tokens of one forward pass that `micro_batch: auto` aims at: enough for full speed, few enough to keep activations small.
constexpr std::int64_t kMicroBatchTokens = 8192;
constexpr std::int64_t kEvaluateTokens = std::int64_t{1} << 20;
constexpr std::int64_t kBucketBytes = std::int64_t{8} << 20;

std::int64_t batch_samples_of(const TrainConfig& train, std::int64_t tokens_per_sample) {
  if (train.batch_samples) {
    return *train.batch_samples;
  }
  CLS_CHECK(*train.batch_tokens % tokens_per_sample == 0, ConfigError, "train.batch_tokens ",
            *train.batch_tokens, " is not a multiple of data.context_length ", tokens_per_sample);
  return *train.batch_tokens / tokens_per_sample;
}

void plan_length(RunPlan& plan, const TrainConfig& train, const DataFacts& data) {
  const std::int64_t tokens_per_step = plan.batch_samples * plan.tokens_per_sample;
  plan.end_sample = std::numeric_limits<std::int64_t>::max();
  if (train.steps) {
    plan.steps = *train.steps;
  } else if (train.tokens) {
    plan.steps = div_ceil(*train.tokens, tokens_per_step);
  } else {
    plan.end_sample = *train.epochs * data.train_samples;
    plan.steps = div_ceil(plan.end_sample, plan.batch_samples);
  }
  plan.run = {.steps = plan.steps,
              .steps_per_epoch =
                  static_cast<double>(data.train_samples) / static_cast<double>(plan.batch_samples),
              .tokens_per_step = static_cast<double>(tokens_per_step)};
}

}  // namespace

std::int64_t evaluation_samples(const EvaluateConfig& evaluate, const DataFacts& data) {
  if (const auto* count = std::get_if<std::int64_t>(&evaluate.samples)) {
    return *count;
  }
  if (std::get<SampleCount>(evaluate.samples) == SampleCount::kAll) {
    return data.validation_samples;
  }
  return std::min(data.validation_samples, div_ceil(kEvaluateTokens, data.context_length));
}

std::int64_t micro_batch_of(const TrainConfig& train, std::int64_t context_length) {
  return train.micro_batch.value_or(
      std::max<std::int64_t>(1, kMicroBatchTokens / std::max<std::int64_t>(1, context_length)));
}

RunPlan plan_run(const Recipe& recipe, const DataFacts& data, int ranks, int cores_per_rank) {
  RunPlan plan;
  plan.ranks = ranks;
  plan.tokens_per_sample = data.context_length;
  plan.batch_samples = batch_samples_of(recipe.train, data.context_length);
  CLS_CHECK(ranks <= plan.batch_samples, ConfigError, ranks, " ranks share ", plan.batch_samples,
            " samples a step; use at most as many ranks as samples (train.batch_tokens or "
            "train.batch_samples)");
  plan_length(plan, recipe.train, data);
  const std::int64_t rank_samples = div_ceil<std::int64_t>(plan.batch_samples, ranks);
  plan.micro_batch = std::min(rank_samples, micro_batch_of(recipe.train, data.context_length));
  plan.threads = narrow<int>(recipe.parallel.threads.value_or(cores_per_rank));
  plan.bucket_bytes = recipe.parallel.bucket_bytes.value_or(kBucketBytes);
  const auto at_least_one = [&](const Duration& duration) {
    return std::max<std::int64_t>(1, duration.in_steps(plan.run));
  };
  plan.monitor_every = at_least_one(recipe.monitor.every);
  plan.checkpoint_every = at_least_one(recipe.checkpoint.every);
  plan.evaluate_every = recipe.evaluate.every
                            ? at_least_one(recipe.evaluate.every->value_or(recipe.checkpoint.every))
                            : 0;
  plan.evaluate_samples = evaluation_samples(recipe.evaluate, data);
  CLS_CHECK(!recipe.monitor.uses(AlarmPolicy::kRollback) || plan.checkpoint_every < plan.steps,
            ConfigError,
            "monitor.on_alarm: rollback needs a checkpoint to go back to; "
            "checkpoint.every ",
            plan.checkpoint_every, " is not below the run's ", plan.steps, " steps");
  plan.check_every = recipe.parallel.check_every ? at_least_one(*recipe.parallel.check_every) : 0;
  return plan;
}

}  // namespace clausius
