// SPDX-License-Identifier: Apache-2.0
// What a run has written about itself so far: metrics.jsonl, read back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/monitor/head_table.h"

namespace clausius {

/// One sampled step. Values that were not finite, or not written, are NaN.
struct StepRecord {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  double loss = 0;
  double lr = 0;
  double grad_norm = 0;
  double tokens_per_second = 0;
  double step_ms = 0;
  double fraction_of_peak = 0;
  std::int64_t peak_memory_bytes = 0;
  HeadTable entropy_nats{};
  HeadTable entropy_normalized{};
  /// Share of heads per health band, lowest first; empty without heads.
  std::vector<double> bands{};
  std::vector<std::string> alarms{};
};

struct EvaluationRecord {
  std::int64_t step = 0;
  double val_loss = 0;
  double val_bits_per_byte = 0;  // 0 where the bytes are not known
};

struct EventRecord {
  std::int64_t step = 0;
  std::string event;
  std::string message;
};

/// In order of steps: of a run that went back to a checkpoint, what it did before and threw away is left out.
struct RunHistory {
  std::vector<StepRecord> steps;
  std::vector<EvaluationRecord> evaluations;
  std::vector<EventRecord> events;
};

/// Reads the metrics of a run, live or ended. A last line without an end (a run that was killed, or is writing now) is passed
/// over, and earlier lines with a later step are dropped.
/// Errors:  IoError when the file cannot be read; DataError naming file and line for anything but JSON objects.
[[nodiscard]] RunHistory read_run_history(const std::filesystem::path& metrics);

}  // namespace clausius
