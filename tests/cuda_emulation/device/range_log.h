// SPDX-License-Identifier: Apache-2.0
// What a profiler would see of the emulated device.
#pragma once

#include <string>
#include <string_view>

namespace clausius::emulation {

/// While one lives, the ranges of the emulated device in their order: "step(add() mul())" is two ops inside a step.
class RangeLog {
 public:
  RangeLog() { current() = this; }
  ~RangeLog() { current() = nullptr; }
  RangeLog(const RangeLog&) = delete;
  RangeLog& operator=(const RangeLog&) = delete;

  /// The one that lives; nullptr where there is none.
  static RangeLog*& current() {
    static RangeLog* log = nullptr;
    return log;
  }
  void begin(std::string_view name) {
    text_ += text_.empty() || text_.back() == '(' ? "" : " ";
    text_.append(name).append("(");
  }
  void end() { text_ += ")"; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace clausius::emulation
