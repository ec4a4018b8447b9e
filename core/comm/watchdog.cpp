// SPDX-License-Identifier: Apache-2.0
// The watching thread.
#include "core/comm/watchdog.h"

#include <algorithm>
#include <unistd.h>

#include "core/error.h"

namespace clausius {

Watchdog::Watchdog(int rank, std::chrono::seconds timeout)
    : rank_(rank), timeout_(timeout), thread_([this] { loop(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Watchdog::Scope::Scope(Watchdog& watchdog, std::string_view collective) : watchdog_(watchdog) {
  const std::lock_guard lock(watchdog_.mutex_);
  watchdog_.begin_ = Clock::now();
  watchdog_.collective_ = collective;
}

Watchdog::Scope::~Scope() {
  const std::lock_guard lock(watchdog_.mutex_);
  watchdog_.begin_.reset();
}

void Watchdog::loop() {
  // Waking at fixed times, not for each collective, keeps a scope at two uncontended locks.
  const auto period = std::clamp<Clock::duration>(timeout_ / 20, std::chrono::milliseconds(50),
                                                  std::chrono::seconds(1));
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, period, [this] { return stopping_; })) {
    if (begin_ && Clock::now() - *begin_ > timeout_) {
      const std::string text =
          concat("rank ", rank_, ": ", collective_, " has not finished for ", timeout_.count(),
                 " s (parallel.timeout_s): another rank is lost, stuck, or not taking part\n");
      static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
      ::_exit(static_cast<int>(ExitCode::kCommunication));
    }
  }
}

}  // namespace clausius
