// SPDX-License-Identifier: Apache-2.0
// Benchmarks of the ops that training spends its time in, with what the machine can do at most beside them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace clausius {

/// The denominators, measured in the same run.
struct Ceilings {
  double gemm_f32 = 0;  // FLOP/s, all threads
  double gemm_bf16 = 0;
  double copy = 0;  // bytes/s, read plus written

  [[nodiscard]] double gemm(Dtype dtype) const {
    return dtype == Dtype::kBf16 ? gemm_bf16 : gemm_f32;
  }
};

struct MicroResult {
  double seconds = 0;  // of the fastest run
  /// Arithmetic of a run where that bounds it, else 0; masked halves are not counted.
  double flops = 0;
  /// Bytes that have to be read and written, where that bounds it, else 0.
  double bytes = 0;
  [[nodiscard]] double fraction_of(const Ceilings& ceilings, Dtype dtype) const;
};

struct MicroBenchmark {
  std::string name;  // op and shape, as "attention_forward/1x12x1024x64"
  Dtype dtype = Dtype::kF32;
  std::function<MicroResult()> run;
};

/// The curated few, whose names contain `filter`; nothing is allocated before they run. bench/ has every op at many shapes.
[[nodiscard]] std::vector<MicroBenchmark> micro_benchmarks(const std::string& filter);

}  // namespace clausius
