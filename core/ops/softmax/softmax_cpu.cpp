// SPDX-License-Identifier: Apache-2.0
// CPU kernels of softmax, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/softmax/softmax_cpu.cpp"
#include <cmath>
#include <vector>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/softmax/softmax.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/math-inl.h"
#include "core/simd/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

constexpr std::int64_t kSoftmaxGrain = 1 << 15;

// A row without a number above -inf: zeros, or NaN where a NaN hides among them.
template <class T>
void fill_masked_row(std::int64_t n, const T* x, T* y) {
  const bool has_nan =
      std::any_of(x, x + n, [](T value) { return std::isnan(static_cast<float>(value)); });
  std::fill(y, y + n, T(has_nan ? std::numeric_limits<float>::quiet_NaN() : 0.0F));
}

// `exponentials` holds a row of f32: y itself for f32.
template <class T>
HWY_INLINE void softmax_row(std::int64_t n, const T* x, T* y, float* exponentials) {
  const float largest = max_lanes(n, x);
  if (largest == -std::numeric_limits<float>::infinity()) {
    return fill_masked_row(n, x, y);
  }
  const Lane shift(largest);
  const double sum = sum_lanes(n, [=](auto part, std::int64_t i) HWY_ATTR {
    const Lane e = exp(part.load(x + i) - shift);
    part.store(e, exponentials + i);
    return e;
  });
  const Lane scale(1.0 / sum);
  for_lanes(n, [=](auto part, std::int64_t i) HWY_ATTR {
    prefetch(x + n + i);
    part.store(part.load(exponentials + i) * scale, y + i);
  });
}

template <class T>
void softmax_forward_rows(const Tensor& x, Tensor& y) {
  const std::int64_t width = x.size(1);
  const T* from = x.data<T>();
  T* to = y.data<T>();
  parallel_for(
      x.size(0), std::max<std::int64_t>(1, kSoftmaxGrain / width),
      [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
        std::vector<float> scratch(std::is_same_v<T, float> ? 0 : static_cast<std::size_t>(width));
        for (std::int64_t row = begin; row < end; ++row) {
          T* out = to + row * width;
          if constexpr (std::is_same_v<T, float>) {
            softmax_row(width, from + row * width, out, out);
          } else {
            softmax_row(width, from + row * width, out, scratch.data());
          }
        }
      });
}

template <class T>
void softmax_backward_rows(const Tensor& dy, const Tensor& y, Tensor& dx) {
  const std::int64_t width = y.size(1);
  const T* gradients = dy.data<T>();
  const T* probabilities = y.data<T>();
  T* to = dx.data<T>();
  parallel_for(y.size(0), std::max<std::int64_t>(1, kSoftmaxGrain / width),
               [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
                 for (std::int64_t row = begin; row < end; ++row) {
                   const T* g = gradients + row * width;
                   const T* p = probabilities + row * width;
                   T* out = to + row * width;
                   const Lane average(sum_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
                     return part.load(g + i) * part.load(p + i);
                   }));
                   for_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
                     part.store(part.load(p + i) * (part.load(g + i) - average), out + i);
                   });
                 }
               });
}

void softmax_forward_f32(const Tensor& x, Tensor& y) {
  softmax_forward_rows<float>(x, y);
}
void softmax_forward_bf16(const Tensor& x, Tensor& y) {
  softmax_forward_rows<bf16>(x, y);
}
void softmax_backward_f32(const Tensor& dy, const Tensor& y, Tensor& dx) {
  softmax_backward_rows<float>(dy, y, dx);
}
void softmax_backward_bf16(const Tensor& dy, const Tensor& y, Tensor& dx) {
  softmax_backward_rows<bf16>(dy, y, dx);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(softmax_forward, kF32, softmax_forward_f32);
CLS_SIMD_KERNEL(softmax_forward, kBf16, softmax_forward_bf16);
CLS_SIMD_KERNEL(softmax_backward, kF32, softmax_backward_f32);
CLS_SIMD_KERNEL(softmax_backward, kBf16, softmax_backward_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
