// SPDX-License-Identifier: Apache-2.0
// The seam below cuda::gemm: a product whose operands the library takes as they lie. cuBLASLt defines it on a device
// (gemm.cpp), plain loops where the device is emulated (tests/cuda_emulation/gemm.cpp).
#pragma once

#include <compare>
#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"
#include "core/ops/matmul/matrix_layout.h"

namespace clausius::cuda {

/// out = alpha a b + bias + beta c (beta 0 or 1) for `batch` matrices, one rounding at the end; rows of out and c are dense. Strides are in elements.
struct GemmProblem {
  std::int64_t batch = 1;
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  ops::detail::MatrixLayout a;
  ops::detail::MatrixLayout b;
  std::int64_t out_step = 0;
  std::int64_t c_step = 0;  // 0: one row serves all
  std::int64_t a_stride = 0;
  std::int64_t b_stride = 0;
  std::int64_t out_stride = 0;
  std::int64_t c_stride = 0;
  Dtype in_dtype = Dtype::kF32;
  Dtype out_dtype = Dtype::kF32;
  bool bias = false;
  bool device_scale = false;                             // alpha and beta are read on the device
  auto operator<=>(const GemmProblem&) const = default;  // NOLINT(modernize-use-nullptr)
};

struct GemmPointers {
  const void* a = nullptr;
  const void* b = nullptr;
  void* out = nullptr;
  const void* c = nullptr;     // of out's type: out itself or other memory; not read when beta is 0
  const void* bias = nullptr;  // n numbers of out's type, 16-byte aligned
  const float* alpha = nullptr;  // on the device, in place of the number, with device_scale
};

/// False, and nothing done, where the library has no algorithm that reads one row of c for all.
/// Errors: DeviceError where it has none for another problem.
[[nodiscard]] bool run_gemm(
    const GemmProblem& problem, const GemmPointers& data, float alpha, float beta, Device device);

}  // namespace clausius::cuda
