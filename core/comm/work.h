// SPDX-License-Identifier: Apache-2.0
// Handles on asynchronous collectives, and the queue that carries them out in order on its own
// thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace clausius {

/// A collective on its way. A default-constructed Work is done.
class Work {
 public:
  using Clock = std::chrono::steady_clock;
  /// When it began and ended; both zero for one that needed no communication.
  struct Times {
    Clock::time_point begin;
    Clock::time_point end;
  };
  /// What an implementation knows of its collective.
  class State {
   public:
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    virtual ~State() = default;
    virtual void wait() = 0;
    [[nodiscard]] virtual bool done() = 0;
    [[nodiscard]] virtual Times times() = 0;
  };

  Work() = default;
  explicit Work(std::shared_ptr<State> state) : state_(std::move(state)) {}

  /// From here on its tensors may be used: by the caller, or, for tensors of a device, by what the caller asks of the device
  /// after this; the caller itself does not wait for a device.
  /// Errors: rethrows the collective's error.
  void wait() const {
    if (state_) {
      state_->wait();
    }
  }
  [[nodiscard]] bool done() const { return !state_ || state_->done(); }
  /// Of one that is done.
  [[nodiscard]] Times times() const { return state_ ? state_->times() : Times{}; }

 private:
  std::shared_ptr<State> state_;
};

/// Carries out calls one after the other, in the order of submission.
class WorkQueue {
 public:
  /// `threaded`: on a thread of its own; else submit() does the work before it returns.
  explicit WorkQueue(bool threaded);
  /// Ends after the call that is under way; those behind it are dropped.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// After a call has failed, those behind it fail with the same error, unstarted.
  [[nodiscard]] Work submit(std::function<void()> call);
  [[nodiscard]] bool threaded() const { return thread_.joinable(); }

 private:
  class HostState;
  struct Item {
    std::function<void()> call;
    std::shared_ptr<HostState> state;
  };
  void loop();
  void run(const Item& item);

  std::exception_ptr failure_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> items_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace clausius
