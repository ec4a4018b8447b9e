// SPDX-License-Identifier: Apache-2.0
// The watching thread.
#if __has_include(<nccl.h>)
#include "core/comm/nccl_watch.h"

#include <utility>

#include "core/comm/communicator.h"
#include "core/comm/nccl_api.h"
#include "core/cuda/context.h"
#include "core/error.h"

namespace clausius::detail {

NcclWatch::NcclWatch(int rank, ncclComm_t communicator, std::chrono::seconds timeout)
    : rank_(rank), communicator_(communicator), timeout_(timeout), thread_([this] { loop(); }) {}

NcclWatch::~NcclWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void NcclWatch::add(std::string collective, std::shared_ptr<const cuda::Event> end) {
  const std::lock_guard lock(mutex_);
  under_way_.push_back({std::move(collective), std::move(end), Clock::now()});
}

void NcclWatch::loop() {
  try {
    cuda::bind_thread();
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(100), [this] { return stopping_; })) {
      look();
    }
  } catch (const Error& error) {
    give_up(error.what());
  }
}

void NcclWatch::look() {
  while (!under_way_.empty() && under_way_.front().end->done()) {
    under_way_.pop_front();
  }
  const std::string where = under_way_.empty() ? "between collectives" : under_way_.front().name;
  ncclResult_t state = ncclSuccess;
  CLS_NCCL_CHECK(comm_get_async_error, (communicator_, &state));
  if (state != ncclSuccess && state != ncclInProgress) {
    give_up(concat(where, ": NCCL reports: ", nccl_api().get_error_string(state)));
  }
  if (!under_way_.empty() && Clock::now() - under_way_.front().asked > timeout_) {
    give_up(concat(where, " has not finished for ", timeout_.count(),
                   " s (parallel.timeout_s): another rank is lost, stuck, or not taking part"));
  }
}

void NcclWatch::give_up(const std::string& why) const {
  // Frees the kernels that wait for the other ranks; after an error it is the only call that NCCL allows.
  std::thread([communicator = communicator_] {
    (void)nccl_api().comm_abort(communicator);
  }).detach();
  abort_all(ExitCode::kCommunication, why);
}

}  // namespace clausius::detail
#endif
