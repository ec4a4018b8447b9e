// SPDX-License-Identifier: Apache-2.0
// The matrix products of training: a linear layer's forward and two gradients at the sizes of the
// recipes.
#include <benchmark/benchmark.h>

#include "bench/ceilings.h"
#include "core/ops/linear/linear.h"
#include "core/ops/matmul/matmul.h"

namespace clausius {
namespace {

struct Layer {
  const char* name;
  std::int64_t tokens;
  std::int64_t inputs;
  std::int64_t outputs;
};

constexpr Layer kLayers[] = {
    {"baby_qkv", 4096, 384, 1152},  {"baby_out", 4096, 384, 384},   {"baby_up", 4096, 384, 1536},
    {"baby_down", 4096, 1536, 384}, {"gpt2_qkv", 1024, 768, 2304},  {"gpt2_out", 1024, 768, 768},
    {"gpt2_up", 1024, 768, 3072},   {"gpt2_down", 1024, 3072, 768}, {"decode", 1, 768, 3072},
    {"decode_8", 8, 768, 3072},     {"score", 4096, 384, 1},        {"router", 4096, 384, 8},
};

enum class Pass { kForward, kForwardBias, kInput, kWeight };

void run_linear(benchmark::State& state, const Layer& layer, Dtype dtype, Pass pass) {
  const Tensor x = Tensor::full({layer.tokens, layer.inputs}, 0.5, dtype);
  const Tensor weight = Tensor::full({layer.outputs, layer.inputs}, 0.5, dtype);
  const Tensor bias =
      pass == Pass::kForwardBias ? Tensor::zeros({layer.outputs}, Dtype::kF32) : Tensor();
  Tensor y = Tensor::full({layer.tokens, layer.outputs}, 0.0, dtype);
  Tensor dx = Tensor::full({layer.tokens, layer.inputs}, 0.0, dtype);
  Tensor dweight = Tensor::full({layer.outputs, layer.inputs}, 0.0, Dtype::kF32);
  const double seconds = bench::fastest(state, [&] {
    if (pass == Pass::kInput) {
      ops::linear_input_gradient(y, weight, dx);
    } else if (pass == Pass::kWeight) {
      ops::linear_weight_gradient(y, x, dweight, /*accumulate=*/true);
    } else {
      ops::linear(x, weight, bias, y);
    }
  });
  const auto flops = 2.0 * static_cast<double>(layer.tokens * layer.inputs * layer.outputs);
  bench::report_gemm(state, flops, seconds, dtype);
}

const bool registered = [] {
  for (const Layer& layer : kLayers) {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      const auto add = [&](const char* name, Pass pass) {
        benchmark::RegisterBenchmark(
            concat("linear/", layer.name, '/', dtype, '/', name).c_str(),
            [=](benchmark::State& state) { run_linear(state, layer, dtype, pass); })
            ->MinTime(0.3)
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
      };
      add("forward", Pass::kForward);
      add("forward_bias", Pass::kForwardBias);
      add("dx", Pass::kInput);
      add("dweight", Pass::kWeight);
    }
  }
  return true;
}();

}  // namespace
}  // namespace clausius
