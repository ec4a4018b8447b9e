// SPDX-License-Identifier: Apache-2.0
// The copy bandwidth of this machine, measured in the same run as the benchmarks, and how those report against it.
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>

#include <benchmark/benchmark.h>

namespace clausius::bench {

/// Bytes read plus written a second by a large copy on all threads, ordinary stores; the best of
/// several.
[[nodiscard]] double copy_bandwidth();

/// Runs fn for every iteration; seconds of the fastest (the machine may be shared).
template <class Fn>
double fastest(benchmark::State& state, const Fn& fn) {
  double best = std::numeric_limits<double>::infinity();
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    fn();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

inline void report_bytes(benchmark::State& state, double bytes, double seconds) {
  state.counters["best_gbs"] = bytes / seconds * 1e-9;
  state.counters["copy_gbs"] = copy_bandwidth() * 1e-9;
  state.counters["of_copy"] = bytes / seconds / copy_bandwidth();
}

}  // namespace clausius::bench
