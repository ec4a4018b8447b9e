// SPDX-License-Identifier: Apache-2.0
// Ends the job when collectives between GPUs fail or hang: their kernels would wait for a lost rank for ever.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <nccl.h>
#include <string>
#include <thread>

#include "core/cuda/event.h"

namespace clausius::detail {

/// Looks every 100 ms, from a thread of its own.
class NcclWatch {
 public:
  NcclWatch(int rank, ncclComm_t communicator, std::chrono::seconds timeout);
  ~NcclWatch();
  NcclWatch(const NcclWatch&) = delete;
  NcclWatch& operator=(const NcclWatch&) = delete;

  /// `end` comes when the collective is done.
  void add(std::string collective, std::shared_ptr<const cuda::Event> end);

 private:
  using Clock = std::chrono::steady_clock;
  struct Collective {
    std::string name;
    std::shared_ptr<const cuda::Event> end;
    Clock::time_point asked;
  };
  void loop();
  void look();
  [[noreturn]] void give_up(const std::string& why) const;

  int rank_;
  ncclComm_t communicator_;
  std::chrono::seconds timeout_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Collective> under_way_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace clausius::detail
