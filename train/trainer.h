// SPDX-License-Identifier: Apache-2.0
// Trainer: owns the step loop of a run and nothing else; everything optional is an observer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/comm/communicator.h"
#include "data/loader.h"
#include "train/log.h"
#include "train/recipe.h"
#include "train/signals.h"
#include "train/step_report.h"

namespace clausius {

/// How a run was asked for on the command line.
struct RunOptions {
  std::filesystem::path directory;
  /// "auto", a checkpoint file, or empty.
  std::string resume;
  /// Write a checkpoint after this step and end; the schedule stays that of the whole run.
  std::optional<std::int64_t> stop_after;
  /// Where to write a trace of backward and the gradient buckets; empty: none.
  std::filesystem::path trace;
};

class Trainer {
 public:
  /// Opens the run directory (rank 0), builds data, model and optimizer, and reads a checkpoint; writes no file of the run.
  /// Collective.
  /// Errors: ConfigError, DataError, IoError; the same on every rank.
  Trainer(const Recipe& recipe, const RunOptions& options, Communicator& communicator, Log& log);
  ~Trainer();

  /// Logs what will be trained, and how.
  void describe() const;

  /// Runs to the end, to stop_after, or to a stop signal. Collective.
  /// Value:   kDone, or kStoppedBySignal when a signal ended it after a checkpoint.
  /// Errors:  GuardError when loss or gradient are not finite, or an alarm's policy is stop; CommError.
  [[nodiscard]] ExitCode run();

 private:
  struct Parts;
  void build_data();
  void build_model();
  void keep_split();
  void build_step();
  void resume();
  void open_observers();
  void step(const LoadedStep& data);
  void check_recording();
  void judge(StepReport& report);
  void evaluate_now();
  void save_checkpoint();
  [[nodiscard]] bool improves(const EvaluationReport& report);
  void event(std::string_view name, std::string_view message);
  [[nodiscard]] ExitCode finish(StopRequest stop);

  Recipe recipe_;
  RunOptions options_;
  Communicator& communicator_;
  Log& log_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace clausius
