// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl: the record of a run, one JSON object a line.
#pragma once

#include <filesystem>

#include "core/io/file.h"
#include "train/observer.h"

namespace clausius {

/// Writes a line for every sampled step, evaluation and event, each flushed at once. Keys: see the user guide, "The run directory".
class MetricsLog final : public TrainingObserver {
 public:
  /// `resume`: keep the lines that are there, without a torn last one. Errors: IoError.
  MetricsLog(const std::filesystem::path& file, bool resume);

  void on_step(const StepReport& report) override;
  void on_evaluation(std::int64_t step, const EvaluationReport& report) override;
  void on_event(std::int64_t step, std::string_view event, std::string_view message) override;

 private:
  LineWriter writer_;
};

}  // namespace clausius
