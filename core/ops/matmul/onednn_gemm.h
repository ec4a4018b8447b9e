// SPDX-License-Identifier: Apache-2.0
// oneDNN matrix products through a process-wide cache of primitives.
#pragma once

#include <compare>
#include <cstdint>

#include "core/dtype.h"
#include "core/ops/matmul/matrix_layout.h"

namespace clausius::ops::detail {

/// Everything a oneDNN primitive is compiled for; the cache key.
struct GemmProblem {
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  MatrixLayout a;
  MatrixLayout b;
  MatrixLayout out;
  Dtype in_dtype = Dtype::kF32;
  Dtype out_dtype = Dtype::kF32;
  bool scaled = false;
  bool accumulate = false;
  bool bias = false;
  int threads = 1;
  auto operator<=>(const GemmProblem&) const = default;  // NOLINT(modernize-use-nullptr)
};

struct GemmPointers {
  const void* a = nullptr;
  const void* b = nullptr;
  void* out = nullptr;
  const float* bias = nullptr;
};

/// Runs the product; false (nothing written) where oneDNN has no implementation on this machine.
bool onednn_gemm(const GemmProblem& problem, const GemmPointers& data, float alpha);

}  // namespace clausius::ops::detail
