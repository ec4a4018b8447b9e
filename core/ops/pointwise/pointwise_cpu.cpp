// SPDX-License-Identifier: Apache-2.0
// CPU kernels of every pointwise op of this folder, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/pointwise/pointwise_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/pointwise_tables.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

#define CLS_POINTWISE(name, Struct)
#include "core/ops/pointwise_structs.inc"
#undef CLS_POINTWISE

constexpr std::int64_t kPointwiseGrain = 1 << 15;

template <class T, class Op>
void pointwise_forward(const Tensor& x, Tensor& y) {
  const T* from = x.data<T>();
  T* to = y.data<T>();
  parallel_for(x.numel(), kPointwiseGrain,
               [from, to](std::int64_t begin, std::int64_t end) HWY_ATTR {
                 for_lanes(end - begin, [=](auto part, std::int64_t i) HWY_ATTR {
                   part.store(Op::forward(part.load(from + begin + i)), to + begin + i);
                 });
               });
}

template <class T, class Op>
void pointwise_backward(const Tensor& dy, const Tensor& x, Tensor& dx) {
  const T* gradient = dy.data<T>();
  const T* from = x.data<T>();
  T* to = dx.data<T>();
  parallel_for(x.numel(), kPointwiseGrain, [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for_lanes(end - begin, [=](auto part, std::int64_t i) HWY_ATTR {
      const Lane slope = Op::derivative(part.load(from + begin + i));
      part.store(part.load(gradient + begin + i) * slope, to + begin + i);
    });
  });
}

#define CLS_POINTWISE(name, Struct)                                          \
  void name##_forward_f32(const Tensor& x, Tensor& y) {                      \
    pointwise_forward<float, Struct>(x, y);                                  \
  }                                                                          \
  void name##_forward_bf16(const Tensor& x, Tensor& y) {                     \
    pointwise_forward<bf16, Struct>(x, y);                                   \
  }                                                                          \
  void name##_backward_f32(const Tensor& dy, const Tensor& x, Tensor& dx) {  \
    pointwise_backward<float, Struct>(dy, x, dx);                            \
  }                                                                          \
  void name##_backward_bf16(const Tensor& dy, const Tensor& x, Tensor& dx) { \
    pointwise_backward<bf16, Struct>(dy, x, dx);                             \
  }
#include "core/ops/pointwise_list.inc"
#undef CLS_POINTWISE

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
#define CLS_POINTWISE(name, Struct)                            \
  CLS_SIMD_KERNEL(name##_forward, kF32, name##_forward_f32);   \
  CLS_SIMD_KERNEL(name##_forward, kBf16, name##_forward_bf16); \
  CLS_SIMD_KERNEL(name##_backward, kF32, name##_backward_f32); \
  CLS_SIMD_KERNEL(name##_backward, kBf16, name##_backward_bf16);
#include "core/ops/pointwise_list.inc"
#undef CLS_POINTWISE
}  // namespace clausius::simd
#endif  // HWY_ONCE
