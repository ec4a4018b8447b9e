// SPDX-License-Identifier: Apache-2.0
// RunLock: one process at a time trains in a run directory.
#pragma once

#include <filesystem>

#include "core/io/file.h"

namespace clausius {

/// Holds `directory`/run.lock, which says who holds it. The system lets go when the process ends, however it ends.
class RunLock {
 public:
  /// Errors: ConfigError naming the process and host that hold it; IoError when the file cannot be made.
  explicit RunLock(const std::filesystem::path& directory);
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  ~RunLock() = default;

  /// Whether some process holds the directory now. Errors: IoError.
  [[nodiscard]] static bool is_held(const std::filesystem::path& directory);

  /// False on file systems without locks, where nothing is held.
  [[nodiscard]] bool held() const { return held_; }

 private:
  FileDescriptor file_;
  bool held_ = true;
};

}  // namespace clausius
