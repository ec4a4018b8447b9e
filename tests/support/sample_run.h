// SPDX-License-Identifier: Apache-2.0
// Run directories that no training wrote: of any size in a moment, and with numbers that a test knows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "train/metrics_log.h"
#include "train/monitor/entropy_file.h"
#include "train/monitor/head_table.h"

namespace clausius::test {

struct SampleRunOptions {
  std::int64_t layers = 2;
  std::int64_t heads = 4;
  std::int64_t samples = 20;  // logged steps: 1, every, 2 every, ..
  std::int64_t every = 10;
  std::uint64_t seed = 1;
  std::int64_t linear_layer = -1;  // this layer has no probabilities
  bool entropy_file = true;
  bool recipe = true;
  bool end = true;
};

/// Writes metrics.jsonl, entropy.h5 and recipe.resolved.yaml through the writers that runs use, row by row.
class SampleRun {
 public:
  SampleRun(std::filesystem::path directory, const SampleRunOptions& options);

  /// The next sample, with what belongs to its step: evaluations, checkpoints, alarms.
  void sample();
  /// All that the options ask for, then the end; closes the files.
  void finish();
  /// As a resumed run does: takes back what came after `sample` (a number of samples), and goes on from there.
  void resume(std::int64_t samples);
  [[nodiscard]] std::int64_t step() const { return step_of(done_); }

  /// What the run says of a head at the n-th sample (from 1).
  [[nodiscard]] double entropy_normalized(std::int64_t sample,
                                          std::int64_t layer,
                                          std::int64_t head) const;
  [[nodiscard]] double loss(std::int64_t sample) const;
  [[nodiscard]] std::int64_t step_of(std::int64_t sample) const;

 private:
  void open(std::int64_t resume_step);
  [[nodiscard]] StepReport report(std::int64_t sample) const;
  [[nodiscard]] double noise(std::int64_t a, std::int64_t b) const;
  void tell(const StepReport& report);

  std::filesystem::path directory_;
  SampleRunOptions options_;
  std::int64_t done_ = 0;
  std::unique_ptr<MetricsLog> metrics_;
  std::unique_ptr<EntropyFile> entropy_;
};

}  // namespace clausius::test
