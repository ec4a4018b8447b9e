// SPDX-License-Identifier: Apache-2.0
// The directory of a run: who may start in it, where its files are, and what a resumed run finds there.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/checkpoint.h"
#include "train/run_lock.h"

namespace clausius {

struct RunFiles {
  std::filesystem::path directory;
  [[nodiscard]] std::filesystem::path checkpoints() const { return directory / "checkpoints"; }
  [[nodiscard]] std::filesystem::path recipe() const { return directory / "recipe.resolved.yaml"; }
  [[nodiscard]] std::filesystem::path metrics() const { return directory / "metrics.jsonl"; }
  [[nodiscard]] std::filesystem::path entropy() const { return directory / "entropy.h5"; }
  [[nodiscard]] std::filesystem::path environment() const { return directory / "environment.json"; }
  [[nodiscard]] std::filesystem::path log() const { return directory / "log.txt"; }
};

/// A run directory opened for training, by rank 0.
struct OpenedRun {
  RunFiles files;
  std::unique_ptr<RunLock> lock;
  /// Where the run goes on; none: from step 0.
  std::optional<CheckpointFile> checkpoint;
  /// The directory held a run before.
  bool resumed = false;
  /// For the log: damaged checkpoints that were passed over, files set aside.
  std::vector<std::string> notes;
};

/// `resume`: empty, "auto" or a checkpoint file.
/// Errors: ConfigError when the directory holds a run and resume is empty, when another process holds the run, when the given
/// checkpoint is missing; IoError when it is damaged.
[[nodiscard]] OpenedRun open_run_directory(const std::filesystem::path& directory,
                                           const std::string& resume);

/// The checkpoint that a command line means: a checkpoint file itself, or the newest valid one of a run directory.
/// Errors: IoError naming what was looked for.
[[nodiscard]] std::filesystem::path find_checkpoint(const std::filesystem::path& file_or_run);

}  // namespace clausius
