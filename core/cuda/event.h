// SPDX-License-Identifier: Apache-2.0
// A moment in a stream.
#pragma once

#include <chrono>
#include <cuda_runtime.h>

#include "core/cuda/check.h"

namespace clausius::cuda {

/// An event that also knows its time.
class Event {
 public:
  using Clock = std::chrono::steady_clock;

  Event() { CLS_CUDA_CHECK(cudaEventCreate(&event_)); }
  ~Event() { (void)cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(cudaStream_t stream) { CLS_CUDA_CHECK(cudaEventRecord(event_, stream)); }
  /// What is asked of `stream` after this begins when the event has come.
  void hold_back(cudaStream_t stream) const {
    CLS_CUDA_CHECK(cudaStreamWaitEvent(stream, event_, 0));
  }
  /// For destructors: after a failure there is nothing left to order.
  void hold_back_unchecked(cudaStream_t stream) const noexcept {
    (void)cudaStreamWaitEvent(stream, event_, 0);
  }
  [[nodiscard]] bool done() const {
    const cudaError_t result = cudaEventQuery(event_);
    if (result == cudaErrorNotReady) {
      return false;
    }
    CLS_CUDA_CHECK(result);
    return true;
  }
  /// On the host's clock, by way of a later event; waits.
  [[nodiscard]] Clock::time_point time(cudaStream_t stream) const {
    CLS_CUDA_CHECK(cudaEventSynchronize(event_));
    Event now;
    now.record(stream);
    CLS_CUDA_CHECK(cudaEventSynchronize(now.event_));
    const Clock::time_point at = Clock::now();
    float milliseconds = 0.0F;
    CLS_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, event_, now.event_));
    return at - std::chrono::duration_cast<Clock::duration>(
                    std::chrono::duration<double, std::milli>(milliseconds));
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace clausius::cuda
