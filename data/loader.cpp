// SPDX-License-Identifier: Apache-2.0
// Slicing steps over ranks and micro-batches, and the reading thread.
#include "data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"

namespace clausius {

class Loader::Reader {
 public:
  Reader(const SampleSequence& samples, const LoaderPlan& plan)
      : samples_(samples), plan_(plan), next_sample_(plan.first_sample) {
    CLS_CHECK(plan.batch_samples >= 1 && plan.micro_batch >= 1 && plan.ranks >= 1 &&
                  plan.rank >= 0 && plan.rank < plan.ranks && plan.prefetch >= 0 &&
                  plan.first_sample >= 0,
              InternalError, "a loader of ", plan.batch_samples,
              " samples a step, micro-batches of ", plan.micro_batch, ", rank ", plan.rank, " of ",
              plan.ranks, ", ", plan.prefetch, " steps ahead, from sample ", plan.first_sample);
    if (plan.prefetch > 0) {
      thread_ = std::thread([this] { read_ahead(); });
    }
  }

  ~Reader() {
    if (thread_.joinable()) {
      {
        const std::lock_guard lock(mutex_);
        stop_ = true;
      }
      changed_.notify_all();
      thread_.join();
    }
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  std::optional<LoadedStep> take() {
    if (!thread_.joinable()) {
      return read_step();
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty() || finished_; });
    if (!ready_.empty()) {
      LoadedStep step = std::move(ready_.front());
      ready_.pop_front();
      changed_.notify_all();
      return step;
    }
    if (failure_) {
      std::rethrow_exception(failure_);
    }
    return std::nullopt;
  }

 private:
  std::optional<LoadedStep> read_step() {
    if (next_sample_ >= plan_.end_sample) {
      return std::nullopt;
    }
    LoadedStep step;
    step.first_sample = next_sample_;
    step.samples = std::min(plan_.batch_samples, plan_.end_sample - next_sample_);
    const std::int64_t begin = next_sample_ + step.samples * plan_.rank / plan_.ranks;
    const std::int64_t end = next_sample_ + step.samples * (plan_.rank + 1) / plan_.ranks;
    for (std::int64_t first = begin; first < end; first += plan_.micro_batch) {
      step.micro_batches.push_back(samples_.read(first, std::min(plan_.micro_batch, end - first)));
      step.weight += step.micro_batches.back().weight;
    }
    next_sample_ += step.samples;
    return step;
  }

  void read_ahead() {
    try {
      while (std::optional<LoadedStep> step = read_step()) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stop_ || std::ssize(ready_) < plan_.prefetch; });
        if (stop_) {
          return;
        }
        ready_.push_back(std::move(*step));
        changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    finished_ = true;
    changed_.notify_all();
  }

  const SampleSequence& samples_;
  const LoaderPlan plan_;
  std::int64_t next_sample_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<LoadedStep> ready_;
  std::exception_ptr failure_;
  bool finished_ = false;
  bool stop_ = false;
  std::thread thread_;
};

Loader::Loader(const SampleSequence& samples, const LoaderPlan& plan)
    : reader_(std::make_unique<Reader>(samples, plan)) {}

Loader::~Loader() = default;

std::optional<LoadedStep> Loader::next() {
  return reader_->take();
}

}  // namespace clausius
