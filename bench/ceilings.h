// SPDX-License-Identifier: Apache-2.0
// What this machine can do at most, measured in the same run as the benchmarks, and how those
// report against it.
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>

#include <benchmark/benchmark.h>

#include "core/dtype.h"

namespace clausius::bench {

struct GemmCeiling {
  double libxsmm_core = 0;  // GFLOP/s of 64 x 64 x 64 products on one core, operands in cache
  double onednn = 0;        // GFLOP/s of the better of two large products, all threads
};

/// Measured at the first call; f32 or bf16. 0 for what this machine or build has not.
[[nodiscard]] const GemmCeiling& gemm_ceiling(Dtype dtype);

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

inline void report_gemm(benchmark::State& state, double flops, double seconds, Dtype dtype) {
  const double gflops = flops / seconds * 1e-9;
  state.counters["best_gflops"] = gflops;
  state.counters["onednn_best"] = gemm_ceiling(dtype).onednn;
  state.counters["xsmm_core"] = gemm_ceiling(dtype).libxsmm_core;
  state.counters["of_peak"] = gflops / gemm_ceiling(dtype).onednn;
}

inline void report_bytes(benchmark::State& state, double bytes, double seconds) {
  state.counters["best_gbs"] = bytes / seconds * 1e-9;
  state.counters["copy_gbs"] = copy_bandwidth() * 1e-9;
  state.counters["of_copy"] = bytes / seconds / copy_bandwidth();
}

}  // namespace clausius::bench
