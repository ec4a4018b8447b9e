// SPDX-License-Identifier: Apache-2.0
// Runs of `clausius train` in a fresh directory, and what they leave there.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace clausius::test {

/// tiny_cpu with overrides, one thread a rank, run to its end in a directory that lives as long as this.
class TrainingRun {
 public:
  /// `ranks` > 0: under mpirun.
  explicit TrainingRun(const std::vector<std::string>& overrides = {}, int ranks = 0);

  [[nodiscard]] const ProcessResult& process() const { return process_; }
  [[nodiscard]] std::filesystem::path directory() const { return temporary_ / "run"; }
  /// Every line of metrics.jsonl.
  [[nodiscard]] std::vector<Json> metrics() const;
  /// Those of steps, by way of their key `loss`.
  [[nodiscard]] std::vector<Json> steps() const;

 private:
  TemporaryDirectory temporary_;
  ProcessResult process_;
};

/// A line of metrics.jsonl without what a clock or the machine put into it: what two equal runs share.
[[nodiscard]] Json without_clock(const Json& line);

/// Fails unless both runs sampled the same steps with losses that differ by at most `limit` of their own.
void expect_same_losses(const std::vector<Json>& got,
                        const std::vector<Json>& want,
                        double limit,
                        const std::string& what);

}  // namespace clausius::test
