// SPDX-License-Identifier: Apache-2.0
// CPU kernels of root-mean-square normalisation, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/rms_norm/rms_norm_cpu.cpp"
#include <cmath>
#include <vector>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/rms_norm/rms_norm.h"
#include "core/simd/column_sums-inl.h"
#include "core/simd/dispatch.h"
#include "core/simd/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

constexpr std::int64_t kNormGrain = 1 << 15;

// A gain of ones where none is given.
inline std::vector<float> gain_or_ones(const Tensor& gain, std::int64_t width) {
  std::vector<float> values(static_cast<std::size_t>(width), 1.0F);
  if (gain.defined()) {
    std::copy_n(gain.data<float>(), width, values.begin());
  }
  return values;
}

template <class T>
void rms_norm_forward_rows(
    const Tensor& x, const Tensor& gain, Tensor& y, Tensor& rstd, double eps) {
  const std::int64_t width = x.size(1);
  const std::vector<float> gains = gain_or_ones(gain, width);
  parallel_for(x.size(0), std::max<std::int64_t>(1, kNormGrain / width),
               [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
                 const float* g = gains.data();
                 for (std::int64_t row = begin; row < end; ++row) {
                   const T* in = x.data<T>() + row * width;
                   T* out = y.data<T>() + row * width;
                   const double squares = sum_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
                     const Lane value = part.load(in + i);
                     return value * value;
                   });
                   const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + eps);
                   const Lane factor(scale);
                   for_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
                     prefetch(in + width + i);
                     part.store(part.load(in + i) * factor * part.load(g + i), out + i);
                   });
                   rstd.data<float>()[row] = static_cast<float>(scale);
                 }
               });
}

// One row of dx; the row's terms of dgain are added to `sums`.
template <class T>
HWY_INLINE void rms_norm_backward_row(
    std::int64_t width, const T* dy, const T* x, const float* gain, Lane rstd, T* dx, float* sums) {
  const double total = sum_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
    return part.load(dy + i) * part.load(gain + i) * (part.load(x + i) * rstd);
  });
  const Lane average(total / static_cast<double>(width));
  for_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
    const Lane gradient = part.load(dy + i);
    const Lane normal = part.load(x + i) * rstd;
    part.store(rstd * neg_mul_add(normal, average, gradient * part.load(gain + i)), dx + i);
    part.store(mul_add(gradient, normal, part.load(sums + i)), sums + i);
  });
}

template <class T>
void rms_norm_backward_rows(const Tensor& dy,
                            const Tensor& x,
                            const Tensor& gain,
                            const Tensor& rstd,
                            Tensor& dx,
                            Tensor& dgain) {
  const std::int64_t width = x.size(1);
  const std::vector<float> gains = gain_or_ones(gain, width);
  std::vector<float> sums(static_cast<std::size_t>(width));
  column_sums(x.size(0), width, 1.0, sums.data(),
              [&](std::int64_t begin, std::int64_t end, float* partial) HWY_ATTR {
                for (std::int64_t row = begin; row < end; ++row) {
                  rms_norm_backward_row(
                      width, dy.data<T>() + row * width, x.data<T>() + row * width, gains.data(),
                      Lane(rstd.data<float>()[row]), dx.data<T>() + row * width, partial);
                }
              });
  if (dgain.defined()) {
    std::copy_n(sums.begin(), width, dgain.data<float>());
  }
}

void rms_norm_forward_f32(
    const Tensor& x, const Tensor& gain, Tensor& y, Tensor& rstd, double eps) {
  rms_norm_forward_rows<float>(x, gain, y, rstd, eps);
}
void rms_norm_forward_bf16(
    const Tensor& x, const Tensor& gain, Tensor& y, Tensor& rstd, double eps) {
  rms_norm_forward_rows<bf16>(x, gain, y, rstd, eps);
}
void rms_norm_backward_f32(const Tensor& dy,
                           const Tensor& x,
                           const Tensor& gain,
                           const Tensor& rstd,
                           Tensor& dx,
                           Tensor& dgain) {
  rms_norm_backward_rows<float>(dy, x, gain, rstd, dx, dgain);
}
void rms_norm_backward_bf16(const Tensor& dy,
                            const Tensor& x,
                            const Tensor& gain,
                            const Tensor& rstd,
                            Tensor& dx,
                            Tensor& dgain) {
  rms_norm_backward_rows<bf16>(dy, x, gain, rstd, dx, dgain);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(rms_norm_forward, kF32, rms_norm_forward_f32);
CLS_SIMD_KERNEL(rms_norm_forward, kBf16, rms_norm_forward_bf16);
CLS_SIMD_KERNEL(rms_norm_backward, kF32, rms_norm_backward_f32);
CLS_SIMD_KERNEL(rms_norm_backward, kBf16, rms_norm_backward_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
