// SPDX-License-Identifier: Apache-2.0
// The stack of context frames of each thread.
#include "core/error.h"

#include <vector>

namespace clausius {
namespace {

std::vector<std::string_view>& frames() {
  thread_local std::vector<std::string_view> stack;
  return stack;
}

std::string with_frames(const std::string& message) {
  std::string text;
  for (std::string_view frame : frames()) {
    text.append("[").append(frame).append("] ");
  }
  return text + message;
}

}  // namespace

Error::Error(const std::string& message, ExitCode exit_code)
    : std::runtime_error(with_frames(message)), exit_code_(exit_code) {}

ErrorFrame::ErrorFrame(std::string_view where) {
  frames().push_back(where);
}
ErrorFrame::~ErrorFrame() {
  frames().pop_back();
}

}  // namespace clausius
