// SPDX-License-Identifier: Apache-2.0
// CPU kernels of row_squares, compiled once per instruction set: fixed chunks of rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/row_squares/row_squares_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/row_squares/row_squares.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

template <class T>
void row_squares(const Tensor& x_BTM, const Tensor& lengths_B, Tensor& sums) {
  constexpr std::int64_t kChunk = 64;  // tokens
  const std::int64_t tokens = x_BTM.size(1);
  const std::int64_t width = x_BTM.size(2);
  const T* x = x_BTM.data<T>();
  const std::int32_t* lengths = lengths_B.data<std::int32_t>();
  sums.data<double>()[0] += parallel_sum<double>(
      x_BTM.size(0) * tokens, kChunk, [=](std::int64_t begin, std::int64_t end) {
        double sum = 0;
        for (std::int64_t row = begin; row < end; ++row) {
          if (row % tokens < lengths[row / tokens]) {
            const T* from = x + row * width;
            sum += sum_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
              const Lane value = part.load(from + i);
              return value * value;
            });
          }
        }
        return sum;
      });
  for (std::int64_t b = 0; b < x_BTM.size(0); ++b) {
    sums.data<double>()[1] += static_cast<double>(lengths[b] * width);
  }
}

void row_squares_f32(const Tensor& x_BTM, const Tensor& lengths_B, Tensor& sums) {
  row_squares<float>(x_BTM, lengths_B, sums);
}
void row_squares_bf16(const Tensor& x_BTM, const Tensor& lengths_B, Tensor& sums) {
  row_squares<bf16>(x_BTM, lengths_B, sums);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(row_squares, kF32, row_squares_f32);
CLS_SIMD_KERNEL(row_squares, kBf16, row_squares_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
