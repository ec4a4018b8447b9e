// SPDX-License-Identifier: Apache-2.0
// The memory-bound passes over flat buffers, against the copy bandwidth of the same run.
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/ceilings.h"
#include "core/ops/adamw/adamw.h"
#include "core/ops/linear/linear.h"
#include "core/ops/sgd/sgd.h"
#include "core/ops/sum_of_squares/sum_of_squares.h"

namespace clausius {
namespace {

constexpr std::int64_t kElements = 32 << 20;

void adamw(benchmark::State& state) {
  const bool with_copy = state.range(0) != 0;
  const Tensor gradient = Tensor::full({kElements}, 0.01, Dtype::kF32);
  Tensor m = Tensor::zeros({kElements}, Dtype::kF32);
  Tensor v = Tensor::zeros({kElements}, Dtype::kF32);
  Tensor master = Tensor::full({kElements}, 1.0, Dtype::kF32);
  Tensor compute = with_copy ? Tensor::zeros({kElements}, Dtype::kBf16) : Tensor();
  const std::vector<UpdateRange> ranges = {{.begin = 0, .end = kElements, .weight_decay = 0.1}};
  const double seconds =
      bench::fastest(state, [&] { (void)ops::adamw(gradient, m, v, master, compute, ranges, {}); });
  bench::report_bytes(state, kElements * (with_copy ? 30.0 : 28.0), seconds);
}
BENCHMARK(adamw)
    ->Arg(0)
    ->Arg(1)
    ->ArgName("bf16_copy")
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void sgd(benchmark::State& state) {
  const Tensor gradient = Tensor::full({kElements}, 0.01, Dtype::kF32);
  Tensor velocity = Tensor::zeros({kElements}, Dtype::kF32);
  Tensor master = Tensor::full({kElements}, 1.0, Dtype::kF32);
  Tensor compute;
  const std::vector<UpdateRange> ranges = {{.begin = 0, .end = kElements}};
  const double seconds = bench::fastest(
      state, [&] { (void)ops::sgd(gradient, velocity, master, compute, ranges, {}); });
  bench::report_bytes(state, kElements * 20.0, seconds);
}
BENCHMARK(sgd)->UseRealTime()->Unit(benchmark::kMillisecond);

void sum_of_squares(benchmark::State& state) {
  const Tensor x = Tensor::full({kElements}, 0.01, Dtype::kF32);
  const double seconds =
      bench::fastest(state, [&] { benchmark::DoNotOptimize(ops::sum_of_squares(x)); });
  bench::report_bytes(state, kElements * 4.0, seconds);
}
BENCHMARK(sum_of_squares)->UseRealTime()->Unit(benchmark::kMillisecond);

void bias_gradient(benchmark::State& state) {
  const Dtype dtype = state.range(0) != 0 ? Dtype::kBf16 : Dtype::kF32;
  const Tensor dy = Tensor::full({16384, 2304}, 0.01, dtype);
  Tensor dbias = Tensor::zeros({2304}, Dtype::kF32);
  const double seconds = bench::fastest(state, [&] { ops::linear_bias_gradient(dy, dbias); });
  bench::report_bytes(state, static_cast<double>(dy.bytes()), seconds);
}
BENCHMARK(bias_gradient)
    ->Arg(0)
    ->Arg(1)
    ->ArgName("bf16")
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace clausius
