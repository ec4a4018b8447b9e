// SPDX-License-Identifier: Apache-2.0
// The recipe sections that belong to the trainer: train, checkpoint, parallel, evaluate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/comm/communicator.h"
#include "core/config.h"
#include "core/config_duration.h"
#include "layers/models/model.h"

namespace clausius {

/// A number a run reports and that `keep_best`, `early_stop` and `evaluate.metrics` name.
enum class Metric { kValLoss, kValBitsPerByte };
constexpr auto words_of(Metric /*unused*/) {
  return words("val_loss", "val_bits_per_byte");
}

struct EarlyStopConfig {
  Metric metric = Metric::kValLoss;
  std::int64_t patience = 10;

  void visit(ConfigVisitor& v) {
    v.field("metric", metric, "what must improve");
    v.field("patience", patience, "evaluations without improvement before the run ends",
            at_least(1));
  }
};

enum class DeviceGraph { kAuto, kOn, kOff };
constexpr auto words_of(DeviceGraph /*unused*/) {
  return words("auto", "on", "off");
}

struct TrainConfig {
  std::optional<std::int64_t> steps;
  std::optional<std::int64_t> epochs;
  std::optional<std::int64_t> tokens;
  std::optional<std::int64_t> batch_tokens;
  std::optional<std::int64_t> batch_samples;
  Auto<std::int64_t> micro_batch;
  std::optional<double> clip_norm = 1.0;
  Recompute recompute = Recompute::kNone;
  DeviceGraph device_graph = DeviceGraph::kAuto;
  std::optional<EarlyStopConfig> early_stop;
  bool expect_divergence = false;

  void visit(ConfigVisitor& v) {
    v.field("steps", steps, "length of the run in optimizer steps; one of steps, epochs, tokens",
            at_least(1));
    v.field("epochs", epochs, "length of the run in passes over the data", at_least(1));
    v.field("tokens", tokens, "length of the run in tokens", at_least(1));
    v.field("batch_tokens", batch_tokens,
            "tokens of a step over all ranks; one of batch_tokens, batch_samples", at_least(1));
    v.field("batch_samples", batch_samples, "rows of a step over all ranks", at_least(1));
    v.field("micro_batch", micro_batch, "samples per rank and forward pass", at_least(1));
    v.field("clip_norm", clip_norm, "largest L2 norm of the gradient; null = no clipping",
            positive);
    v.field("recompute", recompute,
            "activations computed again in backward: none, or whole blocks");
    v.field("device_graph", device_graph,
            "a GPU's step as one recorded graph: auto: where it can be, on: or an error");
    v.field("early_stop", early_stop, "end when validation stops improving");
    v.field("expect_divergence", expect_divergence,
            "the recipe shows a failure: its test wants exit code 4");
  }
  void validate(const ConfigCheck& check) const {
    const int lengths = (steps ? 1 : 0) + (epochs ? 1 : 0) + (tokens ? 1 : 0);
    check.that(lengths == 1, "steps", "give exactly one of steps, epochs, tokens");
    const int batches = (batch_tokens ? 1 : 0) + (batch_samples ? 1 : 0);
    check.that(batches == 1, "batch_tokens", "give exactly one of batch_tokens, batch_samples");
  }
};

enum class KeepAll { kAll };
constexpr auto words_of(KeepAll /*unused*/) {
  return words("all");
}

enum class KeepBest { kAuto, kValLoss, kValBitsPerByte };
constexpr auto words_of(KeepBest /*unused*/) {
  return words("auto", "val_loss", "val_bits_per_byte");
}

struct CheckpointConfig {
  Duration every = Duration::steps(500);
  std::variant<std::int64_t, KeepAll> keep_last = std::int64_t{3};
  std::optional<KeepBest> keep_best = KeepBest::kAuto;
  bool asynchronous = true;

  void visit(ConfigVisitor& v) {
    v.field("every", every, "between checkpoints; one is always written at the end", positive);
    v.field("keep_last", keep_last, "newest checkpoints kept", at_least(1));
    v.field("keep_best", keep_best,
            "also keep the best by this metric; auto: val_loss if there is validation");
    v.field("asynchronous", asynchronous, "write in the background");
  }
};

constexpr auto words_of(ReductionOrder /*unused*/) {
  return words("rank", "tree", "any");
}

enum class ReduceDtype { kF32, kBf16 };
constexpr auto words_of(ReduceDtype /*unused*/) {
  return words("f32", "bf16");
}

struct ParallelConfig {
  std::int64_t zero = 0;
  Auto<std::int64_t> threads;
  Auto<std::int64_t> bucket_bytes;
  ReduceDtype reduce_dtype = ReduceDtype::kF32;
  ReductionOrder reduction_order = ReductionOrder::kRank;
  std::int64_t timeout_s = 600;
  std::optional<Duration> check_every = Duration::steps(1000);

  void visit(ConfigVisitor& v) {
    v.field("zero", zero, "1: each rank keeps the optimizer state of its share of the parameters",
            between(0, 1));
    v.field("threads", threads, "per rank; auto: the cores of the rank's affinity mask",
            at_least(1));
    v.field("bucket_bytes", bucket_bytes, "of gradients reduced together while backward goes on",
            at_least(1));
    v.field("reduce_dtype", reduce_dtype, "element type on the wire");
    v.field("reduction_order", reduction_order,
            "rank: sums in rank order; tree: the same bits for 1, 2, 4 .. ranks; any: on GPUs, as "
            "NCCL is fastest");
    v.field("timeout_s", timeout_s, "a collective that takes longer ends the job", at_least(1));
    v.field("check_every", check_every, "ranks compare hashes of their state; null = never",
            positive);
  }
};

enum class SampleCount { kAuto, kAll };
constexpr auto words_of(SampleCount /*unused*/) {
  return words("auto", "all");
}

struct EvaluateConfig {
  std::optional<Auto<Duration>> every = Auto<Duration>();
  std::variant<SampleCount, std::int64_t> samples = SampleCount::kAuto;
  std::vector<std::string> prompts;

  void visit(ConfigVisitor& v) {
    v.field("every", every,
            "between evaluations; auto: checkpoint.every; null: only the one that ends every run");
    v.field("samples", samples, "validation rows used; auto: 2^20 tokens of text", at_least(1));
    v.field("prompts", prompts, "continued in the log at each evaluation");
  }
};

}  // namespace clausius
