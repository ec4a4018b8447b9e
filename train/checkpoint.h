// SPDX-License-Identifier: Apache-2.0
// Checkpoint: everything a run needs to go on, as plain data in one file that does not depend on the number of ranks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/io/hdf5.h"
#include "core/tensor.h"

namespace clausius {

enum class TensorRole : std::uint8_t {
  kParameter,  ///< group /parameters
  kOptimizer,  ///< group /optimizer
  kState,      ///< group /state: neither trained nor of the optimizer
  kMonitor,    ///< group /monitor: of what watches the run, no part of the model
};

/// `name` is unique within the role; '/' in it makes HDF5 groups.
struct CheckpointTensor {
  std::string name;
  TensorRole role = TensorRole::kParameter;
  Tensor value;
};

struct Checkpoint {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  /// Samples handed out over all ranks: where the data go on.
  std::int64_t samples = 0;
  /// Of the metric that keep_best goes by.
  std::optional<double> score;
  /// Further numbers and short texts, by name (threads, micro-batch, ...).
  std::map<std::string, Hdf5Value> values;
  /// Texts of any length, by name: resolved recipe, tokenizer, environment, commit.
  std::map<std::string, std::string> texts;
  /// Other names of parameters (tied weights): alias, name.
  std::vector<std::pair<std::string, std::string>> aliases;
  std::vector<CheckpointTensor> tensors;

  /// Undefined when there is none. Parameters are found by their aliases too.
  [[nodiscard]] Tensor find(TensorRole role, std::string_view name) const;
  [[nodiscard]] std::uint64_t bytes() const;
};

struct CheckpointReadOptions {
  /// Optimizer state is left out: for evaluation and export.
  bool optimizer = true;
  /// An error for a NaN or infinity in any tensor.
  bool check_finite = false;
};

/// `directory`/step_000000123.h5
[[nodiscard]] std::filesystem::path checkpoint_path(const std::filesystem::path& directory,
                                                    std::int64_t step);

/// Writes the file whole or not at all: temporary name, checksums, sync, rename, sync of the directory.
/// Errors: IoError; the previous file of that name is then untouched.
void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);

/// Every checksum is verified. Errors: IoError naming the file and what is missing or damaged.
[[nodiscard]] Checkpoint read_checkpoint(const std::filesystem::path& path,
                                         const CheckpointReadOptions& options = {});

/// Reads all of it, keeping nothing. Errors: as read_checkpoint.
void verify_checkpoint(const std::filesystem::path& path);

struct CheckpointFile {
  std::int64_t step = 0;
  std::filesystem::path path;
};

/// Files named as checkpoints, by step; temporaries are none. Empty when there is no such directory.
[[nodiscard]] std::vector<CheckpointFile> list_checkpoints(const std::filesystem::path& directory);

struct LatestCheckpoint {
  /// The newest valid one, verified; empty when there is none.
  std::optional<CheckpointFile> file;
  /// What was passed over on the way: the error that names each damaged file.
  std::vector<std::string> skipped;
};

[[nodiscard]] LatestCheckpoint find_latest_checkpoint(const std::filesystem::path& directory);

/// Renames checkpoints later than `step` to `NAME.set_aside`: what a run that goes on from `step` must not find
/// again, be they damaged or of a course that was given up. Returns the new names.
std::vector<std::filesystem::path> set_aside_later_checkpoints(
    const std::filesystem::path& directory, std::int64_t step);

}  // namespace clausius
