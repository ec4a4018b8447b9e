// SPDX-License-Identifier: Apache-2.0
// Every pointwise op, forward and backward, against the copy bandwidth of the same run; ns an element on one core in cache too.
#include "core/ops/pointwise.h"

#include <benchmark/benchmark.h>

#include "bench/ceilings.h"
#include "core/parallel.h"
#include "core/random.h"

namespace clausius {
namespace {

using Forward = Tensor (*)(const Tensor&);
using Backward = Tensor (*)(const Tensor&, const Tensor&);

constexpr std::int64_t kLarge = 16 << 20;
constexpr std::int64_t kInCache = 1 << 14;

// Positive, so that logarithms and roots take their ordinary path.
Tensor input(std::int64_t n, Dtype dtype) {
  Tensor x = Tensor::empty({n}, Dtype::kF32);
  fill_uniform(x, RandomStream{.seed = 1}, 0.1, 3.0);
  return x.to(dtype);
}

void run_forward(benchmark::State& state, Forward op, Dtype dtype) {
  const Tensor x = input(kLarge, dtype);
  benchmark::DoNotOptimize(op(x));  // takes the page faults of fresh memory
  const double seconds = bench::fastest(state, [&] { benchmark::DoNotOptimize(op(x)); });
  bench::report_bytes(state, 2.0 * static_cast<double>(x.bytes()), seconds);
}

void run_backward(benchmark::State& state, Backward op, Dtype dtype) {
  const Tensor x = input(kLarge, dtype);
  const Tensor dy = x.clone();
  benchmark::DoNotOptimize(op(dy, x));
  const double seconds = bench::fastest(state, [&] { benchmark::DoNotOptimize(op(dy, x)); });
  bench::report_bytes(state, 3.0 * static_cast<double>(x.bytes()), seconds);
}

void run_in_cache(benchmark::State& state, Forward op) {
  const Tensor x = input(kInCache, Dtype::kF32);
  const double seconds = bench::fastest(state, [&] { benchmark::DoNotOptimize(op(x)); });
  state.counters["ns_per_element"] = seconds * 1e9 / kInCache;
}

const bool registered = [] {
  const auto add = [](const std::string& name, auto fn) {
    benchmark::RegisterBenchmark(("pointwise/" + name).c_str(), fn)
        ->MinTime(0.1)
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  };
#define CLS_POINTWISE(name, Struct)                                                               \
  add(#name "/in_cache", [](benchmark::State& state) { run_in_cache(state, &ops::name); });       \
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {                                         \
    add(concat(#name "/forward/", dtype),                                                         \
        [dtype](benchmark::State& state) { run_forward(state, &ops::name, dtype); });             \
    add(concat(#name "/backward/", dtype),                                                        \
        [dtype](benchmark::State& state) { run_backward(state, &ops::name##_backward, dtype); }); \
  }
#include "core/ops/pointwise_list.inc"
#undef CLS_POINTWISE
  return true;
}();

}  // namespace
}  // namespace clausius
