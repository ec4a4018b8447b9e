// SPDX-License-Identifier: Apache-2.0
// SweepRunner: the cells of a sweep as processes, some at a time, and what is known of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "train/log.h"
#include "train/run_lock.h"
#include "train/signals.h"
#include "train/sweep/cell_process.h"
#include "train/sweep/sweep_plan.h"
#include "train/sweep/sweep_table.h"

namespace clausius {

/// Where a sweep keeps its files.
struct SweepFiles {
  std::filesystem::path directory;
  /// The run directory of a cell that trains; of one that evaluates, the folder of its result.
  [[nodiscard]] std::filesystem::path cell(const std::string& name) const {
    return directory / "cells" / name;
  }
  /// What the cell trains, every key; of one that evaluates, its arguments.
  [[nodiscard]] std::filesystem::path recipe(const std::string& name) const {
    return directory / "recipes" / (name + ".yaml");
  }
  /// What the cell said, on standard output and error.
  [[nodiscard]] std::filesystem::path log(const std::string& name) const {
    return directory / "logs" / (name + ".txt");
  }
  [[nodiscard]] std::filesystem::path outcomes() const { return directory / "outcomes.jsonl"; }
};

struct SweepOptions {
  std::filesystem::path directory;
  /// Cells at a time; the cores are shared out between them.
  int jobs = 1;
  /// What starts a cell: `mpirun -n 2`; empty: nothing.
  std::vector<std::string> launcher;
};

class SweepRunner {
 public:
  /// Opens the sweep's directory and finds out what is done. `plan` and `log` must outlive the runner.
  /// Errors:  ConfigError when the directory holds something else, when another process runs the sweep, or when a cell that has begun
  ///          would now be another run; IoError.
  SweepRunner(const SweepPlan& plan, const SweepOptions& options, Log& log);

  /// Runs the cells that are not done. Tables are written after every cell, and at the end.
  /// Value:   kDone; kStoppedBySignal when a signal ended it (cells wrote checkpoints; the next run goes on with them); the exit code of
  ///          the first cell that failed.
  [[nodiscard]] ExitCode run();

  [[nodiscard]] const std::vector<CellResult>& results() const { return results_; }

 private:
  struct Running {
    std::size_t cell = 0;
    std::unique_ptr<CellProcess> process;
  };
  void open_directory();
  void recall();
  void check_unchanged(std::size_t cell) const;
  void start(std::size_t cell);
  [[nodiscard]] CellCommand command_of(std::size_t cell) const;
  void reap();
  void finish(std::size_t cell, int exit_code, double seconds);
  void measure(std::size_t cell);
  [[nodiscard]] std::vector<Json> read_lines(std::size_t cell) const;
  void warn_of_missing(std::size_t cell, const std::vector<Json>& lines);
  void report(std::size_t cell);
  [[nodiscard]] std::string progress() const;
  void write_tables() const;
  [[nodiscard]] ExitCode verdict() const;

  const SweepPlan& plan_;
  SweepOptions options_;
  SweepFiles files_;
  Log& log_;
  std::unique_ptr<RunLock> lock_;
  int threads_ = 0;  // of a cell; 0: as its recipe says
  std::vector<CellResult> results_;
  std::vector<Running> running_;
  std::set<std::string> missing_told_;
  bool stopping_ = false;
  bool failed_ = false;
};

}  // namespace clausius
