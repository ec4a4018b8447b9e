// SPDX-License-Identifier: Apache-2.0
// The fastest matrix products this machine can do: what every speed figure is divided by.
#pragma once

#include "core/dtype.h"

namespace clausius::ops {

/// FLOP/s on all threads of the program, best of a few; 0 for what this machine or build has not.
struct GemmCeiling {
  double onednn = 0;        // the better of two large products, plain and with a transposed operand
  double libxsmm = 0;       // 64 x 64 x 64 products, operands in cache, every thread its own
  double libxsmm_core = 0;  // the same on one thread
  [[nodiscard]] double best() const { return onednn > libxsmm ? onednn : libxsmm; }
};

/// f32 or bf16; `runs` of each, of which the fastest counts (the machine may be shared). Cost: about 25 ms a run.
[[nodiscard]] GemmCeiling measure_gemm_ceiling(Dtype dtype, int runs = 15);

}  // namespace clausius::ops
