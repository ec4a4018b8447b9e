// SPDX-License-Identifier: Apache-2.0
// CPU kernels of scaled_add, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/scaled_add/scaled_add_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/scaled_add/scaled_add.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

constexpr std::int64_t kScaledGrain = 1 << 15;

template <class T>
void scaled_add_forward(
    const Tensor& a, const Tensor& a_factor, const Tensor& b, const Tensor& b_factor, Tensor& y) {
  const float p = a_factor.data<float>()[0];
  const float q = b_factor.data<float>()[0];
  const T* from_a = a.data<T>();
  const T* from_b = b.data<T>();
  T* to = y.data<T>();
  parallel_for(a.numel(), kScaledGrain, [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
    const Lane of_a(p);
    const Lane of_b(q);
    for_lanes(end - begin, [=](auto part, std::int64_t i) HWY_ATTR {
      const std::int64_t at = begin + i;
      part.store(mul_add(of_a, part.load(from_a + at), of_b * part.load(from_b + at)), to + at);
    });
  });
}

// Elements [begin, end) of one side: its gradient, and the sum of dy times it.
template <class T>
struct ScaledSide {
  const T* value;
  float factor;
  T* gradient;
};

template <class T>
HWY_INLINE TwoSums scaled_add_piece(
    const T* dy, ScaledSide<T> a, ScaledSide<T> b, std::int64_t begin, std::int64_t end) {
  const Lane p(a.factor);
  const Lane q(b.factor);
  return sum_two_lanes(end - begin, [=](auto part, std::int64_t i) HWY_ATTR {
    const std::int64_t at = begin + i;
    const Lane gradient = part.load(dy + at);
    const TwoLanes terms{gradient * part.load(a.value + at), gradient * part.load(b.value + at)};
    part.store(p * gradient, a.gradient + at);
    part.store(q * gradient, b.gradient + at);
    return terms;
  });
}

template <class T>
void scaled_add_backward(const Tensor& dy,
                         const Tensor& a,
                         const Tensor& a_factor,
                         const Tensor& b,
                         const Tensor& b_factor,
                         Tensor& da,
                         Tensor& db,
                         Tensor& sums) {
  const ScaledSide<T> of_a{a.data<T>(), a_factor.data<float>()[0], da.data<T>()};
  const ScaledSide<T> of_b{b.data<T>(), b_factor.data<float>()[0], db.data<T>()};
  const T* gradient = dy.data<T>();
  std::vector<TwoSums> partial(static_cast<std::size_t>(div_ceil(a.numel(), kScaledGrain)));
  parallel_for(a.numel(), kScaledGrain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    partial[static_cast<std::size_t>(begin / kScaledGrain)] =
        scaled_add_piece(gradient, of_a, of_b, begin, end);
  });
  TwoSums total;
  for (const TwoSums& part : partial) {
    total.first += part.first;
    total.second += part.second;
  }
  sums.data<double>()[0] = total.first;
  sums.data<double>()[1] = total.second;
}

void scaled_add_forward_f32(
    const Tensor& a, const Tensor& a_factor, const Tensor& b, const Tensor& b_factor, Tensor& y) {
  scaled_add_forward<float>(a, a_factor, b, b_factor, y);
}
void scaled_add_forward_bf16(
    const Tensor& a, const Tensor& a_factor, const Tensor& b, const Tensor& b_factor, Tensor& y) {
  scaled_add_forward<bf16>(a, a_factor, b, b_factor, y);
}
void scaled_add_backward_f32(const Tensor& dy,
                             const Tensor& a,
                             const Tensor& a_factor,
                             const Tensor& b,
                             const Tensor& b_factor,
                             Tensor& da,
                             Tensor& db,
                             Tensor& sums) {
  scaled_add_backward<float>(dy, a, a_factor, b, b_factor, da, db, sums);
}
void scaled_add_backward_bf16(const Tensor& dy,
                              const Tensor& a,
                              const Tensor& a_factor,
                              const Tensor& b,
                              const Tensor& b_factor,
                              Tensor& da,
                              Tensor& db,
                              Tensor& sums) {
  scaled_add_backward<bf16>(dy, a, a_factor, b, b_factor, da, db, sums);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(scaled_add_forward, kF32, scaled_add_forward_f32);
CLS_SIMD_KERNEL(scaled_add_forward, kBf16, scaled_add_forward_bf16);
CLS_SIMD_KERNEL(scaled_add_backward, kF32, scaled_add_backward_f32);
CLS_SIMD_KERNEL(scaled_add_backward, kBf16, scaled_add_backward_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
