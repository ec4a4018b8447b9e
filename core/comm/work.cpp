// SPDX-License-Identifier: Apache-2.0
// Work states and the communication thread.
#include "core/comm/work.h"

#include <utility>

#include "core/error.h"

namespace clausius {

class WorkQueue::HostState final : public Work::State {
 public:
  void wait() override {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return is_done_; });
    if (failure_) {
      std::rethrow_exception(failure_);
    }
  }
  bool done() override {
    const std::lock_guard lock(mutex_);
    return is_done_;
  }
  Work::Times times() override {
    CLS_ASSERT(done());
    return times_;
  }

  void begin() { times_.begin = Work::Clock::now(); }
  void finish(std::exception_ptr error) {
    {
      const std::lock_guard lock(mutex_);
      times_.end = Work::Clock::now();
      is_done_ = true;
      failure_ = std::move(error);
    }
    finished_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable finished_;
  bool is_done_ = false;
  std::exception_ptr failure_;
  Work::Times times_;
};

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
  Item item{.call = std::move(call), .state = std::make_shared<HostState>()};
  Work work(item.state);
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
  item.state->begin();
  if (!failure_) {
    try {
      item.call();
    } catch (...) {
      failure_ = std::current_exception();
    }
  }
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
