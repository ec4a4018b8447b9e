// SPDX-License-Identifier: Apache-2.0
// CPU kernels of scale, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/scale/scale_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/scale/scale.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/lane-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

template <class T>
void scale_all(const Tensor& x, Tensor& y, double factor) {
  const T* from = x.data<T>();
  T* to = y.data<T>();
  parallel_for(x.numel(), 1 << 15, [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
    const Lane times(factor);
    for_lanes(end - begin, [=](auto part, std::int64_t i) HWY_ATTR {
      part.store(times * part.load(from + begin + i), to + begin + i);
    });
  });
}

void scale_f32(const Tensor& x, Tensor& y, double factor) {
  scale_all<float>(x, y, factor);
}
void scale_bf16(const Tensor& x, Tensor& y, double factor) {
  scale_all<bf16>(x, y, factor);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(scale, kF32, scale_f32);
CLS_SIMD_KERNEL(scale, kBf16, scale_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
