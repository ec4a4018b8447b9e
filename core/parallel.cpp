// SPDX-License-Identifier: Apache-2.0
// The thread team.
#include "core/parallel.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <omp.h>
#include <sched.h>

#include "core/error.h"

namespace clausius {
namespace {
std::atomic<int> thread_count{0};
}

void set_num_threads(int count) {
  CLS_CHECK(count >= 1, ConfigError, "threads: ", count, "; expected at least 1");
  thread_count = count;
  omp_set_num_threads(count);
}

int num_threads() {
  const int count = thread_count.load(std::memory_order_relaxed);
  return count > 0 ? count : omp_get_max_threads();
}

int available_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  return sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : 1;
}

bool in_parallel_region() {
  return omp_in_parallel() != 0;
}

namespace detail {

void run_chunks(std::int64_t chunks, const std::function<void(std::int64_t)>& body) {
  const int threads = static_cast<int>(std::min<std::int64_t>(num_threads(), chunks));
  if (threads <= 1 || in_parallel_region()) {
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      body(chunk);
    }
    return;
  }
  std::exception_ptr failure;
  std::mutex failure_mutex;
  // Chunks are handed out as threads get free: which thread runs a chunk never changes what the
  // chunk computes.
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    try {
      body(chunk);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) {
        failure = std::current_exception();
      }
    }
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

}  // namespace detail
}  // namespace clausius
