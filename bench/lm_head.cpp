// SPDX-License-Identifier: Apache-2.0
// The LM head with its loss: forward only, and with both gradients.
#include <benchmark/benchmark.h>

#include "bench/ceilings.h"
#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy.h"

namespace clausius {
namespace {

struct Head {
  const char* name;
  std::int64_t tokens;
  std::int64_t width;
  std::int64_t vocabulary;
};

constexpr Head kHeads[] = {
    {"bytes", 4096, 384, 256}, {"baby", 4096, 384, 8192}, {"gpt2", 1024, 768, 50304}};

void run_head(benchmark::State& state,
              const Head& head,
              Dtype dtype,
              bool gradients,
              std::int64_t megabytes) {
  const Tensor x = Tensor::full({head.tokens, head.width}, 0.02, dtype);
  const Tensor weight = Tensor::full({head.vocabulary, head.width}, 0.02, dtype);
  const Tensor targets = Tensor::full({head.tokens}, 7, Dtype::kI32);
  const double seconds = bench::fastest(state, [&] {
    benchmark::DoNotOptimize(ops::lm_head_cross_entropy(
        x, weight, targets, {},
        {.dx = gradients, .dweight = gradients, .chunk_bytes = megabytes << 20}));
  });
  const double flops = 2.0 * static_cast<double>(head.tokens * head.width * head.vocabulary);
  bench::report_gemm(state, (gradients ? 3.0 : 1.0) * flops, seconds, dtype);
}

void add(const Head& head, Dtype dtype, bool gradients, std::int64_t megabytes) {
  const std::string name = concat("lm_head/", head.name, '/', dtype,
                                  gradients ? "/gradients" : "/loss", "/chunk_mb:", megabytes);
  benchmark::RegisterBenchmark(
      name.c_str(),
      [=](benchmark::State& state) { run_head(state, head, dtype, gradients, megabytes); })
      ->MinTime(1.0)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

const bool registered = [] {
  for (const Head& head : kHeads) {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      for (const std::int64_t megabytes : {32, 64, 128}) {
        add(head, dtype, /*gradients=*/false, megabytes);
        add(head, dtype, /*gradients=*/true, megabytes);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace clausius
