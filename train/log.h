// SPDX-License-Identifier: Apache-2.0
// What a run says: lines on the terminal and in log.txt, by rank 0 alone.
#pragma once

#include <filesystem>
#include <fstream>
#include <string_view>

namespace clausius {

/// Lines for people. Scripts read metrics.jsonl instead. Copies go to log.txt with a time stamp.
class Log {
 public:
  /// `speaks`: false on every rank but 0, where all calls do nothing.
  explicit Log(bool speaks) : speaks_(speaks) {}

  /// Appends to the file from now on. Errors: IoError.
  void open(const std::filesystem::path& file);
  void line(std::string_view text);
  /// The same, marked, on the standard error stream.
  void warn(std::string_view text);

 private:
  void record(std::string_view text);

  bool speaks_;
  std::ofstream file_;
};

}  // namespace clausius
