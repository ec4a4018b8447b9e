// SPDX-License-Identifier: Apache-2.0
// What one optimizer step did, for everyone who watches a run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/monitor/attention_entropy.h"
#include "train/monitor/head_table.h"

namespace clausius {

struct StepReport {
  std::int64_t step = 0;     // optimizer steps done
  std::int64_t tokens = 0;   // seen in all
  std::int64_t samples = 0;  // seen in all
  double loss = 0;           // nats per target
  double lr = 0;
  double grad_norm = 0;  // before clipping
  double update_norm = 0;
  /// False where a policy or a number that is not finite left the update out.
  bool updated = true;
  double step_ms = 0;
  double tokens_per_second = 0;
  double model_tflops = 0;
  double fraction_of_peak = 0;
  std::int64_t peak_memory_bytes = 0;
  std::vector<std::pair<std::string, double>> aux_losses{};
  /// Of the head's log-sum-exp, where a regularizer acts on it.
  std::optional<double> lse_mean{};
  std::optional<double> lse_max{};
  /// Filled where the step is sampled by the monitor.
  bool sampled = false;
  EntropyReport entropy{};
  /// What else was observed, under its key of metrics.jsonl: by layer and head, by layer (NaN: unknown), and by name.
  std::vector<std::pair<std::string, HeadTable>> heads{};
  std::vector<std::pair<std::string, std::vector<double>>> layers{};
  std::vector<std::pair<std::string, std::vector<std::pair<std::string, double>>>> named{};
  std::int64_t collapsed_heads = 0;
  /// Steps in which each head was clipped, since the run began; empty where nothing clips.
  HeadTable qk_clips{};
  /// Share of heads in each health band, lowest first.
  std::vector<double> bands{};
  /// Alarms that are raised now, as texts.
  std::vector<std::string> alarms{};
};

struct EvaluationReport {
  double val_loss = 0;  // nats per scored token
  double val_bits_per_byte = 0;
  std::int64_t samples = 0;
};

}  // namespace clausius
