// SPDX-License-Identifier: Apache-2.0
// Ends the process when a collective does not finish: a lost peer or network would hang it for
// ever.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace clausius {

/// Watches one collective at a time from a thread of its own.
class Watchdog {
 public:
  Watchdog(int rank, std::chrono::seconds timeout);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// While one lives, its collective is watched: past the timeout the process prints rank,
  /// collective and time, and ends at once with ExitCode::kCommunication.
  class Scope {
   public:
    Scope(Watchdog& watchdog, std::string_view collective);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Watchdog& watchdog_;
  };

 private:
  using Clock = std::chrono::steady_clock;
  void loop();

  int rank_;
  std::chrono::seconds timeout_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Clock::time_point> begin_;
  std::string collective_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace clausius
