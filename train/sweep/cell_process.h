// SPDX-License-Identifier: Apache-2.0
// CellProcess: a program that runs beside this one and writes to a file.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace clausius {

struct CellCommand {
  std::vector<std::string> words;
  /// Where it runs.
  std::filesystem::path directory;
  /// Takes its standard output; appended to. `errors` the same for standard error; empty: the same file.
  std::filesystem::path output{};
  std::filesystem::path errors{};
};

/// Runs in a process group of its own, so that Ctrl-C reaches it through stop() alone. When this program dies, however it dies, the
/// other is asked to stop. One that is still running when the object goes is asked to stop and waited for.
class CellProcess {
 public:
  /// Errors:  IoError when a file cannot be opened or the system makes no process. A program that is not there ends with 127.
  explicit CellProcess(const CellCommand& command);
  ~CellProcess();
  CellProcess(const CellProcess&) = delete;
  CellProcess& operator=(const CellProcess&) = delete;

  /// How it ended, 128 + signal where a signal did that; nothing while it runs.
  [[nodiscard]] std::optional<int> ended();
  /// Asks for a graceful end, as a batch system does: SIGUSR1, which mpirun passes on.
  void stop() const;
  [[nodiscard]] double seconds() const;

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace clausius
