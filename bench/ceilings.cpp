// SPDX-License-Identifier: Apache-2.0
// Measures what this machine can do at most, once.
#include "bench/ceilings.h"

#include "core/ops/matmul/gemm_ceiling.h"
#include "train/machine.h"

namespace clausius::bench {
namespace {

GemmCeiling measure(Dtype dtype) {
  const ops::GemmCeiling ceiling = ops::measure_gemm_ceiling(dtype);
  return {.libxsmm_core = ceiling.libxsmm_core * 1e-9, .onednn = ceiling.onednn * 1e-9};
}

}  // namespace

const GemmCeiling& gemm_ceiling(Dtype dtype) {
  static const GemmCeiling f32 = measure(Dtype::kF32);
  if (dtype != Dtype::kBf16) {
    return f32;
  }
  static const GemmCeiling bf16 = measure(Dtype::kBf16);
  return bf16;
}

double copy_bandwidth() {
  static const double bytes_per_second = measure_copy_bandwidth();
  return bytes_per_second;
}

}  // namespace clausius::bench
