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

struct Checkpoint;
struct HealthVerdict;
struct StepOutcome;

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
  /// Errors:  GuardError when loss or gradient are not finite, or an alarm's policy is stop, once the state is in a checkpoint and the
  ///          reason in the log; or when rolling back and leaving out updates does not help; CommError.
  [[nodiscard]] ExitCode run();

 private:
  struct Parts;
  void build_data();
  void build_model();
  void keep_split();
  void build_step();
  void resume();
  void restore(const Checkpoint& checkpoint);
  void open_data();
  void open_run();
  void open_observers(bool resumed);
  /// False where the step led back to a checkpoint.
  [[nodiscard]] bool step(const LoadedStep& data);
  [[nodiscard]] bool accepts(std::int64_t step, const StepOutcome& outcome);
  void not_finite(std::int64_t step, const std::string& what);
  void check_recording();
  [[nodiscard]] bool judge(StepReport& report, const StepOutcome& outcome);
  [[nodiscard]] bool act(const HealthVerdict& verdict, std::int64_t step);
  void left_out(const std::string& what);
  [[noreturn]] void stop(std::int64_t step, const std::string& alarm);
  void roll_back(std::int64_t before, const std::string& alarm);
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
