// SPDX-License-Identifier: Apache-2.0
// The progress lines of a run.
#pragma once

#include <chrono>
#include <cstdint>

#include "train/log.h"
#include "train/observer.h"

namespace clausius {

/// One aligned line for each sampled step: step, loss, learning rate, tokens a second, lowest and mean head entropy, time left.
class Console final : public TrainingObserver {
 public:
  Console(Log& log, std::int64_t first_step, std::int64_t last_step);

  void on_step(const StepReport& report) override;
  void on_evaluation(std::int64_t step, const EvaluationReport& report) override;
  void on_event(std::int64_t step, std::string_view event, std::string_view message) override;

 private:
  Log& log_;
  std::int64_t first_step_;
  std::int64_t last_step_;
  std::chrono::steady_clock::time_point start_;
};

/// 75 -> "1m15s".
[[nodiscard]] std::string format_seconds(double seconds);
/// 15234.0 -> "15.2k".
[[nodiscard]] std::string format_count(double count);

}  // namespace clausius
