// SPDX-License-Identifier: Apache-2.0
// Error types, checks for users (CLS_CHECK) and for us (CLS_ASSERT), and the context frames an
// error carries.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace clausius {

/// What the program ends with; the numbers are a promise to scripts.
enum class ExitCode {
  kDone = 0,
  kInternal = 1,
  kUsage = 2,
  kData = 3,
  kGuard = 4,
  kCommunication = 5,
  kStoppedBySignal = 75,
};

/// Base of every exception that Clausius throws. `what()` holds the context frames (outermost
/// first) and the message.
class Error : public std::runtime_error {
 public:
  Error(const std::string& message, ExitCode exit_code);
  [[nodiscard]] ExitCode exit_code() const { return exit_code_; }

 private:
  ExitCode exit_code_;
};

// NOLINTBEGIN(bugprone-macro-parentheses): a class's name
#define CLS_DEFINE_ERROR(Name, code)                                              \
  class Name : public Error {                                                     \
   public:                                                                        \
    explicit Name(const std::string& message) : Error(message, ExitCode::code) {} \
  }
// NOLINTEND(bugprone-macro-parentheses)

CLS_DEFINE_ERROR(ShapeError, kInternal);
CLS_DEFINE_ERROR(DtypeError, kInternal);
CLS_DEFINE_ERROR(DeviceError, kInternal);
CLS_DEFINE_ERROR(UnsupportedError, kInternal);
CLS_DEFINE_ERROR(MemoryError, kInternal);
CLS_DEFINE_ERROR(InternalError, kInternal);
CLS_DEFINE_ERROR(ConfigError, kUsage);
CLS_DEFINE_ERROR(DataError, kData);
CLS_DEFINE_ERROR(IoError, kData);
CLS_DEFINE_ERROR(GuardError, kGuard);
CLS_DEFINE_ERROR(CommError, kCommunication);

#undef CLS_DEFINE_ERROR

/// Names where the program is (an op, a layer path, a file) for errors thrown while it lives. Costs
/// two pointer writes; `where` must outlive the frame.
class ErrorFrame {
 public:
  explicit ErrorFrame(std::string_view where);
  ~ErrorFrame();
  ErrorFrame(const ErrorFrame&) = delete;
  ErrorFrame& operator=(const ErrorFrame&) = delete;
};

template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

}  // namespace clausius

/// Always on, for users: throws `ErrorType` with the parts joined.
#define CLS_CHECK(condition, ErrorType, ...)                        \
  do {                                                              \
    if (!(condition)) [[unlikely]] {                                \
      throw ::clausius::ErrorType(::clausius::concat(__VA_ARGS__)); \
    }                                                               \
  } while (false)

/// Debug builds only, for us.
#ifdef CLS_ENABLE_ASSERTS
#define CLS_ASSERT(condition)                                                              \
  do {                                                                                     \
    if (!(condition)) [[unlikely]] {                                                       \
      throw ::clausius::InternalError(                                                     \
          ::clausius::concat(__FILE__, ":", __LINE__, ": assertion failed: " #condition)); \
    }                                                                                      \
  } while (false)
#else
#define CLS_ASSERT(condition) static_cast<void>(0)
#endif
