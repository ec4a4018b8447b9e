// SPDX-License-Identifier: Apache-2.0
// The writing thread and the choice of what stays.
#include "train/checkpoint_saver.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/io/atomic_file.h"

namespace clausius {
namespace {

std::optional<double> score_of(const std::filesystem::path& path) {
  try {
    const Hdf5Reader file(path);
    return file.attribute("/", "score") ? std::optional(file.require<double>("/", "score"))
                                        : std::nullopt;
  } catch (const IoError&) {
    return std::nullopt;  // a damaged file is nobody's best
  }
}

}  // namespace

CheckpointSaver::CheckpointSaver(std::filesystem::path directory, const CheckpointPolicy& policy)
    : directory_(std::move(directory)), policy_(policy) {
  CLS_CHECK(!policy_.keep_last || *policy_.keep_last >= 1, ConfigError,
            "checkpoint.keep_last: ", *policy_.keep_last, "; expected at least 1");
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  CLS_CHECK(!error, IoError, "cannot make the directory ", directory_.string(), ": ",
            error.message());
  remove_stale_temporaries(directory_);
}

CheckpointSaver::~CheckpointSaver() {
  if (writer_.joinable()) {
    writer_.join();
  }
}

void CheckpointSaver::save(Checkpoint checkpoint) {
  wait();
  if (!policy_.asynchronous) {
    write(checkpoint);
    return;
  }
  for (CheckpointTensor& tensor : checkpoint.tensors) {
    tensor.value = tensor.value.clone();
  }
  writer_ = std::thread([this, kept = std::move(checkpoint)] {
    try {
      write(kept);
    } catch (...) {
      failure_ = std::current_exception();
    }
  });
}

void CheckpointSaver::wait() {
  if (writer_.joinable()) {
    writer_.join();
  }
  if (failure_) {
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
}

std::vector<SavedCheckpoint> CheckpointSaver::take_finished() {
  const std::lock_guard lock(mutex_);
  return std::exchange(finished_, {});
}

void CheckpointSaver::write(const Checkpoint& checkpoint) {
  const auto start = std::chrono::steady_clock::now();
  const std::filesystem::path path = checkpoint_path(directory_, checkpoint.step);
  write_checkpoint(path, checkpoint);
  verify_checkpoint(path);
  SavedCheckpoint saved{.file = {.step = checkpoint.step, .path = path},
                        .bytes = checkpoint.bytes(),
                        .removed = prune(checkpoint.step)};
  saved.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::lock_guard lock(mutex_);
  finished_.push_back(std::move(saved));
}

// The file of `step` has just been verified, so older ones may go.
std::vector<std::filesystem::path> CheckpointSaver::prune(std::int64_t step) const {
  std::vector<std::filesystem::path> removed;
  if (!policy_.keep_last) {
    return removed;
  }
  std::vector<CheckpointFile> files = list_checkpoints(directory_);
  std::erase_if(files, [step](const CheckpointFile& file) { return file.step > step; });
  std::optional<std::int64_t> best;
  double best_score = 0;
  for (const CheckpointFile& file : files) {
    const std::optional<double> score = policy_.keep_best ? score_of(file.path) : std::nullopt;
    if (score && !std::isnan(*score) &&
        (!best || (policy_.lower_is_better ? *score < best_score : *score > best_score))) {
      best = file.step;
      best_score = *score;
    }
  }
  const std::int64_t surplus = std::max<std::int64_t>(0, std::ssize(files) - *policy_.keep_last);
  for (const CheckpointFile& file : std::span(files).first(static_cast<std::size_t>(surplus))) {
    std::error_code error;
    if (file.step != best && std::filesystem::remove(file.path, error)) {
      removed.push_back(file.path);
    }
  }
  return removed;
}

}  // namespace clausius
