// SPDX-License-Identifier: Apache-2.0
// Work states and the communication thread.
#include "core/comm/work.h"

#include <utility>

#include "core/error.h"

namespace clausius {

struct Work::State {
  std::mutex mutex;
  std::condition_variable finished;
  bool is_done = false;
  std::exception_ptr failure;
  Times times;

  void finish(std::exception_ptr error) {
    {
      const std::lock_guard lock(mutex);
      is_done = true;
      failure = std::move(error);
    }
    finished.notify_all();
  }
};

void Work::wait() const {
  if (!state_) {
    return;
  }
  std::unique_lock lock(state_->mutex);
  state_->finished.wait(lock, [this] { return state_->is_done; });
  if (state_->failure) {
    std::rethrow_exception(state_->failure);
  }
}

bool Work::done() const {
  if (!state_) {
    return true;
  }
  const std::lock_guard lock(state_->mutex);
  return state_->is_done;
}

Work::Times Work::times() const {
  CLS_ASSERT(done());
  return state_ ? state_->times : Times{};
}

WorkQueue::WorkQueue(bool threaded) {
  if (threaded) {
    thread_ = std::thread([this] { loop(); });
  }
}

WorkQueue::~WorkQueue() {
  if (!thread_.joinable()) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
  const auto dropped =
      std::make_exception_ptr(CommError("the communicator ended before this collective began"));
  for (const Item& item : items_) {
    item.state->finish(dropped);
  }
}

Work WorkQueue::submit(std::function<void()> call) {
  Work work;
  work.state_ = std::make_shared<Work::State>();
  Item item{.call = std::move(call), .state = work.state_};
  if (!thread_.joinable()) {
    run(item);
    return work;
  }
  {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
  }
  wake_.notify_one();
  return work;
}

void WorkQueue::run(const Item& item) {
  item.state->times.begin = Work::Clock::now();
  if (!failure_) {
    try {
      item.call();
    } catch (...) {
      failure_ = std::current_exception();
    }
  }
  item.state->times.end = Work::Clock::now();
  item.state->finish(failure_);
}

void WorkQueue::loop() {
  while (true) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !items_.empty(); });
      if (stopping_) {
        return;
      }
      item = std::move(items_.front());
      items_.pop_front();
    }
    run(item);
  }
}

}  // namespace clausius
