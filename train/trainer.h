// SPDX-License-Identifier: Apache-2.0
// Trainer: owns the step loop of a run and nothing else; everything optional is an observer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/comm/communicator.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "data/objective.h"
#include "train/log.h"
#include "train/observer.h"
#include "train/recipe.h"
#include "train/run_plan.h"
#include "train/train_step.h"

namespace clausius {

/// How a run was asked for on the command line.
struct RunOptions {
  std::filesystem::path directory;
  /// "auto", a checkpoint file, or empty.
  std::string resume;
  /// Write a checkpoint after this step and end; the schedule stays that of the whole run.
  std::optional<std::int64_t> stop_after;
  /// Where to write a trace of backward and the gradient buckets.
  std::filesystem::path trace;
};

class Trainer {
 public:
  /// Builds data, model and optimizer. Collective. Errors: ConfigError, DataError, IoError.
  Trainer(const Recipe& recipe, const RunOptions& options, Communicator& communicator, Log& log);
  ~Trainer();

  /// Runs to the end, to stop_after, or to a stop signal. Collective.
  /// Value:   kDone, or kStoppedBySignal when a signal ended it after a checkpoint.
  /// Errors:  GuardError when loss or gradient are not finite, or an alarm's policy is stop; CommError.
  ExitCode run();

 private:
  struct Parts;
  void build();
  void open_run();
  StepReport step(const LoadedStep& data);
  void evaluate_now();

  Recipe recipe_;
  RunOptions options_;
  Communicator& communicator_;
  Log& log_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace clausius
