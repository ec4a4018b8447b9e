// SPDX-License-Identifier: Apache-2.0
// CPU kernels of linear's bias gradient, compiled once per instruction set: column sums.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/linear/linear_bias_gradient_cpu.cpp"
#include <vector>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/linear/linear.h"
#include "core/simd/column_sums-inl.h"
#include "core/simd/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

template <class T>
void bias_gradient(const Tensor& dy_RN, Tensor& dbias_N, bool accumulate) {
  const Tensor dy = dy_RN.last_is_dense() ? dy_RN : dy_RN.contiguous();
  const std::int64_t width = dy.size(1);
  const std::int64_t step = dy.stride(0);
  const T* rows = dy.data<T>();
  std::vector<float> total(static_cast<std::size_t>(width));
  column_sums(dy.size(0), width, 1.0, total.data(),
              [=](std::int64_t begin, std::int64_t end, float* sums)
                  HWY_ATTR { add_rows(width, end - begin, rows + begin * step, step, sums); });
  const View<float, 1> dbias(dbias_N);
  for (std::int64_t n = 0; n < width; ++n) {
    dbias(n) = total[static_cast<std::size_t>(n)] + (accumulate ? dbias(n) : 0.0F);
  }
}

void linear_bias_gradient_f32(const Tensor& dy_RN, Tensor& dbias_N, bool accumulate) {
  bias_gradient<float>(dy_RN, dbias_N, accumulate);
}
void linear_bias_gradient_bf16(const Tensor& dy_RN, Tensor& dbias_N, bool accumulate) {
  bias_gradient<bf16>(dy_RN, dbias_N, accumulate);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(linear_bias_gradient, kF32, linear_bias_gradient_f32);
CLS_SIMD_KERNEL(linear_bias_gradient, kBf16, linear_bias_gradient_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
