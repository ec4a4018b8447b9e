// SPDX-License-Identifier: Apache-2.0
// The table of benchmarks at sizes that take milliseconds, on the emulated device too.
#pragma once

#include "train/benchmarks/micro.h"

namespace clausius::test {

[[nodiscard]] inline BenchmarkShapes tiny_benchmarks() {
  const std::vector<Dtype> both = {Dtype::kF32, Dtype::kBf16};
  return {.rows = 32,
          .width = 64,
          .elements = 1000,
          .parameters = 1000,
          .head_tokens = 16,
          .vocabulary = 50,
          .squares = {16},
          .layers = {{.name = "up", .tokens = 8, .inputs = 16, .outputs = 64}},
          .attention = {{.B = 2, .H = 2, .T = 16, .D = 64, .causal = true, .dtypes = both},
                        {.B = 2, .H = 2, .T = 16, .D = 64, .causal = false, .dtypes = both}}};
}

}  // namespace clausius::test
