// SPDX-License-Identifier: Apache-2.0
// Other programs, run by tests: their output, exit code, and signals sent to them.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace clausius::test {

using Environment = std::map<std::string, std::string>;

struct ProcessResult {
  int exit_code = -1;  // 128 + signal for one that a signal ended
  bool timed_out = false;
  std::string output;  // standard output and error together
  std::chrono::milliseconds duration{0};
};

/// A running program. Destroyed while it runs: killed, with its process group.
class Process {
 public:
  /// `added`: variables on top of this process's. Errors: IoError when it cannot be started.
  explicit Process(const std::vector<std::string>& command, const Environment& added = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void send(int signal) const;
  /// Reads on until `text` has appeared in the output; false when the program ends or `limit` passes before.
  [[nodiscard]] bool wait_for_output(const std::string& text, std::chrono::milliseconds limit);
  /// Until it ends; past `limit` it is killed with its process group.
  ProcessResult wait(std::chrono::milliseconds limit);

 private:
  bool read_some(std::chrono::steady_clock::time_point deadline);

  pid_t pid_ = -1;
  int output_ = -1;
  bool ended_ = false;
  std::chrono::steady_clock::time_point start_;
  ProcessResult result_;
};

/// Runs to the end. Errors: as Process.
ProcessResult run_process(const std::vector<std::string>& command,
                          const Environment& added = {},
                          std::chrono::milliseconds limit = std::chrono::seconds(60));

}  // namespace clausius::test
