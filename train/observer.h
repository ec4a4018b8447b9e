// SPDX-License-Identifier: Apache-2.0
// Observers: everything about a run that is not the run itself.
#pragma once

#include <cstdint>
#include <string_view>

#include "train/step_report.h"

namespace clausius {

/// Lives on rank 0. Never changes what is trained.
class TrainingObserver {
 public:
  TrainingObserver() = default;
  TrainingObserver(const TrainingObserver&) = delete;
  TrainingObserver& operator=(const TrainingObserver&) = delete;
  virtual ~TrainingObserver() = default;

  /// After every step.
  virtual void on_step(const StepReport& /*report*/) {}
  virtual void on_evaluation(std::int64_t /*step*/, const EvaluationReport& /*report*/) {}
  /// start, resume, checkpoint, signal, alarm, end.
  virtual void on_event(std::int64_t /*step*/,
                        std::string_view /*event*/,
                        std::string_view /*message*/) {}
};

}  // namespace clausius
