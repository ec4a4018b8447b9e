// SPDX-License-Identifier: Apache-2.0
// CheckpointSaver: writes a run's checkpoints, in the background where asked, and removes those that are no longer
// wanted.
#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "train/checkpoint.h"

namespace clausius {

struct CheckpointPolicy {
  /// How many of the newest are kept; empty: all.
  std::optional<std::int64_t> keep_last = 3;
  /// Also keep the one with the best score.
  bool keep_best = false;
  bool lower_is_better = true;
  /// Copy the tensors and write from a thread; else save() returns when the file is there.
  bool asynchronous = true;
};

struct SavedCheckpoint {
  CheckpointFile file;
  std::uint64_t bytes = 0;
  double seconds = 0;
  std::vector<std::filesystem::path> removed;
};

/// For one process (rank 0), which holds the run's lock.
class CheckpointSaver {
 public:
  /// Makes the directory and removes temporaries that dead processes left in it. Errors: IoError.
  CheckpointSaver(std::filesystem::path directory, const CheckpointPolicy& policy);
  /// Waits for the file under way; a failure is lost: call wait() where it matters.
  ~CheckpointSaver();
  CheckpointSaver(const CheckpointSaver&) = delete;
  CheckpointSaver& operator=(const CheckpointSaver&) = delete;

  /// Waits for the checkpoint before, then writes this one, verifies it and removes those beyond the policy: never
  /// the newest valid one, and none later than this one.
  /// Errors: IoError of this save, or of the one before when that ran in the background; older checkpoints are
  ///         untouched then.
  /// Cost:   asynchronous: a copy of all tensors, in time and memory.
  void save(Checkpoint checkpoint);
  /// Until the file under way is there. Errors: IoError of the background.
  void wait();
  /// Those finished since the last call.
  [[nodiscard]] std::vector<SavedCheckpoint> take_finished();

 private:
  void write(const Checkpoint& checkpoint);
  std::vector<std::filesystem::path> prune(std::int64_t step) const;

  std::filesystem::path directory_;
  CheckpointPolicy policy_;
  std::thread writer_;
  std::exception_ptr failure_;  // of the writer; read after joining it
  std::mutex mutex_;
  std::vector<SavedCheckpoint> finished_;
};

}  // namespace clausius
