// SPDX-License-Identifier: Apache-2.0
// CPU kernels of rotary embedding, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/rope/rope_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/rope/rope.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/lane-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

constexpr std::int64_t kRopeGrain = 1 << 14;

template <class T>
void rope_tokens(const Tensor& x,
                 const Tensor& positions,
                 const Tensor& cos,
                 const Tensor& sin,
                 Tensor& y,
                 int sign) {
  const std::int64_t half = x.size(3) / 2;
  const std::int64_t length = x.size(1);
  const std::int64_t heads = x.size(2);
  const View<const std::int32_t, 2> position(positions);
  const View<const T, 4> in(x);
  const View<T, 4> out(y);
  const Tensor cosines = cos.contiguous();
  const Tensor sines = sin.contiguous();
  const Lane direction(sign);
  const std::int64_t grain = std::max<std::int64_t>(1, kRopeGrain / (heads * 2 * half));
  parallel_for(x.size(0) * length, grain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t token = begin; token < end; ++token) {
      const std::int64_t b = token / length;
      const std::int64_t t = token % length;
      const float* c = cosines.data<float>() + position(b, t) * half;
      const float* s = sines.data<float>() + position(b, t) * half;
      for (std::int64_t h = 0; h < heads; ++h) {
        const T* from = &in(b, t, h, 0);
        T* to = &out(b, t, h, 0);
        for_lanes(half, [=](auto part, std::int64_t i) HWY_ATTR {
          const Lane cosine = part.load(c + i);
          const Lane sine = direction * part.load(s + i);
          const Lane first = part.load(from + i);
          const Lane second = part.load(from + half + i);
          part.store(neg_mul_add(second, sine, first * cosine), to + i);
          part.store(mul_add(first, sine, second * cosine), to + half + i);
        });
      }
    }
  });
}

void rope_f32(const Tensor& x,
              const Tensor& positions,
              const Tensor& cos,
              const Tensor& sin,
              Tensor& y,
              int sign) {
  rope_tokens<float>(x, positions, cos, sin, y, sign);
}
void rope_bf16(const Tensor& x,
               const Tensor& positions,
               const Tensor& cos,
               const Tensor& sin,
               Tensor& y,
               int sign) {
  rope_tokens<bf16>(x, positions, cos, sin, y, sign);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(rope, kF32, rope_f32);
CLS_SIMD_KERNEL(rope, kBf16, rope_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
