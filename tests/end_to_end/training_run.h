// SPDX-License-Identifier: Apache-2.0
// Runs of `clausius train` in a fresh directory, and what they leave there.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "train/checkpoint.h"

namespace clausius::test {

/// tiny_cpu with one thread a rank, in a directory that lives as long as this.
class TrainingRun {
 public:
  /// Runs to the end. `arguments`: overrides and options. `ranks` > 0: under mpirun.
  explicit TrainingRun(const std::vector<std::string>& arguments = {}, int ranks = 0);
  /// Runs again in the same directory.
  void again(const std::vector<std::string>& arguments, int ranks = 0);

  /// How the last run ended.
  [[nodiscard]] const ProcessResult& process() const { return process_; }
  [[nodiscard]] std::filesystem::path directory() const { return temporary_ / "run"; }
  /// Every line of metrics.jsonl.
  [[nodiscard]] std::vector<Json> metrics() const;
  /// Those of steps, by way of their key `loss`.
  [[nodiscard]] std::vector<Json> steps() const;
  /// That of `step`, verified.
  [[nodiscard]] Checkpoint checkpoint(std::int64_t step) const;

 private:
  TemporaryDirectory temporary_;
  ProcessResult process_;
};

/// The lines of steps and evaluations without what a clock or the machine put into them: what two equal runs share. (Events name
/// directories, and those of background writes come when they come.)
[[nodiscard]] std::vector<std::string> record_of(const TrainingRun& run);

/// Fails with the first line that differs.
void expect_same_record(const TrainingRun& got, const TrainingRun& want, const std::string& what);

/// Fails unless position and every tensor are equal, bit for bit.
void expect_same_checkpoint(const Checkpoint& got, const Checkpoint& want, const std::string& what);

/// Fails unless both runs sampled the same steps with losses that differ by at most `limit` of their own.
void expect_same_losses(const std::vector<Json>& got,
                        const std::vector<Json>& want,
                        double limit,
                        const std::string& what);

}  // namespace clausius::test
