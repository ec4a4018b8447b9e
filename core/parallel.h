// SPDX-License-Identifier: Apache-2.0
// Fixed-split parallel loops on OpenMP: what a chunk computes never depends on the number of
// threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/checked.h"

namespace clausius {

/// Threads used by parallel_for and by the libraries below it. Errors: ConfigError below 1.
void set_num_threads(int count);
[[nodiscard]] int num_threads();
/// Cores this process may run on (its affinity mask).
[[nodiscard]] int available_cores();
/// True inside a parallel_for body, where nested loops run serially.
[[nodiscard]] bool in_parallel_region();

namespace detail {
void run_chunks(std::int64_t chunks, const std::function<void(std::int64_t chunk)>& body);
}

/// Calls fn(begin, end) for consecutive chunks of `grain` items of [0, n), in parallel, each
/// exactly once. The borders depend on n and grain alone. The first exception thrown by a chunk is
/// rethrown.
template <class Fn>
void parallel_for(std::int64_t n, std::int64_t grain, const Fn& fn) {
  if (n <= 0) {
    return;
  }
  if (n <= grain) {
    fn(std::int64_t{0}, n);
    return;
  }
  detail::run_chunks(div_ceil(n, grain), [&](std::int64_t chunk) {
    const std::int64_t begin = chunk * grain;
    fn(begin, std::min(n, begin + grain));
  });
}

/// Sum over chunks of fn(begin, end), added in chunk order: the same bits whatever the number of
/// threads.
template <class T, class Fn>
T parallel_sum(std::int64_t n, std::int64_t grain, const Fn& fn) {
  std::vector<T> partial(static_cast<std::size_t>(n > 0 ? div_ceil(n, grain) : 0));
  parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
    partial[static_cast<std::size_t>(begin / grain)] = fn(begin, end);
  });
  T total{};
  for (const T& value : partial) {
    total += value;
  }
  return total;
}

}  // namespace clausius
