// SPDX-License-Identifier: Apache-2.0
// CPU kernels of leaky_relu, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/leaky_relu/leaky_relu_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/leaky_relu/leaky_relu.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

constexpr std::int64_t kLeakyGrain = 1 << 15;

template <class T>
void leaky_relu_forward(const Tensor& x, const Tensor& slope, Tensor& y) {
  const float factor = slope.data<float>()[0];
  const T* from = x.data<T>();
  T* to = y.data<T>();
  parallel_for(x.numel(), kLeakyGrain, [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
    const Lane scale(factor);
    for_lanes(end - begin, [=](auto part, std::int64_t i) HWY_ATTR {
      const Lane value = part.load(from + begin + i);
      part.store(select(value > Lane(0), value, scale * value), to + begin + i);
    });
  });
}

// dx of elements [begin, end); returns the sum of dy min(x, 0).
template <class T>
double leaky_relu_piece(
    const T* dy, const T* x, float factor, T* dx, std::int64_t begin, std::int64_t end) {
  const Lane scale(factor);
  return sum_lanes(end - begin, [=](auto part, std::int64_t i) HWY_ATTR {
    const Lane gradient = part.load(dy + begin + i);
    const Lane value = part.load(x + begin + i);
    const Condition positive = value > Lane(0);
    part.store(select(positive, gradient, scale * gradient), dx + begin + i);
    return select(positive, Lane(0), gradient * value);
  });
}

template <class T>
void leaky_relu_backward(
    const Tensor& dy, const Tensor& x, const Tensor& slope, Tensor& dx, Tensor& dslope) {
  const float factor = slope.data<float>()[0];
  const double total =
      parallel_sum<double>(x.numel(), kLeakyGrain, [&](std::int64_t begin, std::int64_t end) {
        return leaky_relu_piece(dy.data<T>(), x.data<T>(), factor, dx.data<T>(), begin, end);
      });
  if (dslope) {
    dslope.data<double>()[0] = total;
  }
}

void leaky_relu_forward_f32(const Tensor& x, const Tensor& slope, Tensor& y) {
  leaky_relu_forward<float>(x, slope, y);
}
void leaky_relu_forward_bf16(const Tensor& x, const Tensor& slope, Tensor& y) {
  leaky_relu_forward<bf16>(x, slope, y);
}
void leaky_relu_backward_f32(
    const Tensor& dy, const Tensor& x, const Tensor& slope, Tensor& dx, Tensor& dslope) {
  leaky_relu_backward<float>(dy, x, slope, dx, dslope);
}
void leaky_relu_backward_bf16(
    const Tensor& dy, const Tensor& x, const Tensor& slope, Tensor& dx, Tensor& dslope) {
  leaky_relu_backward<bf16>(dy, x, slope, dx, dslope);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(leaky_relu_forward, kF32, leaky_relu_forward_f32);
CLS_SIMD_KERNEL(leaky_relu_forward, kBf16, leaky_relu_forward_bf16);
CLS_SIMD_KERNEL(leaky_relu_backward, kF32, leaky_relu_backward_f32);
CLS_SIMD_KERNEL(leaky_relu_backward, kBf16, leaky_relu_backward_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
