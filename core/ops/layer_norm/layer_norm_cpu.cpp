// SPDX-License-Identifier: Apache-2.0
// CPU kernels of layer normalisation, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/layer_norm/layer_norm_cpu.cpp"
#include <cmath>
#include <vector>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/layer_norm/layer_norm.h"
#include "core/simd/column_sums-inl.h"
#include "core/simd/dispatch.h"
#include "core/simd/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

constexpr std::int64_t kNormGrain = 1 << 15;

// A gain of ones or a bias of zeros where none is given.
inline std::vector<float> parameter_or(const Tensor& parameter, std::int64_t width, float value) {
  std::vector<float> values(static_cast<std::size_t>(width), value);
  if (parameter.defined()) {
    std::copy_n(parameter.data<float>(), width, values.begin());
  }
  return values;
}

template <class T>
void layer_norm_forward_rows(const Tensor& x,
                             const Tensor& gain,
                             const Tensor& bias,
                             Tensor& y,
                             Tensor& mean,
                             Tensor& rstd,
                             double eps) {
  const std::int64_t width = x.size(1);
  const std::vector<float> gains = parameter_or(gain, width, 1.0F);
  const std::vector<float> biases = parameter_or(bias, width, 0.0F);
  parallel_for(
      x.size(0), std::max<std::int64_t>(1, kNormGrain / width),
      [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
        const float* g = gains.data();
        const float* b = biases.data();
        for (std::int64_t row = begin; row < end; ++row) {
          const T* in = x.data<T>() + row * width;
          T* out = y.data<T>() + row * width;
          const auto n = static_cast<double>(width);
          const double average = sum_lanes(width, [=](auto part, std::int64_t i)
                                                      HWY_ATTR { return part.load(in + i); }) /
                                 n;
          const Lane centre(average);
          const double squares = sum_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
            const Lane centred = part.load(in + i) - centre;
            return centred * centred;
          });
          // The centre was rounded to f32: what that adds to the squares comes off again.
          const double lost = average - static_cast<double>(static_cast<float>(average));
          const double scale = 1.0 / std::sqrt(std::max(0.0, squares / n - lost * lost) + eps);
          const Lane factor(scale);
          const Lane shift(-lost * scale);
          for_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
            prefetch(in + width + i);
            const Lane normal = mul_add(part.load(in + i) - centre, factor, shift);
            part.store(mul_add(normal, part.load(g + i), part.load(b + i)), out + i);
          });
          mean.data<float>()[row] = static_cast<float>(average);
          rstd.data<float>()[row] = static_cast<float>(scale);
        }
      });
}

// One row of dx; the row's terms of dgain and dbias are added to `sums` (two rows of `width`).
template <class T>
HWY_INLINE void layer_norm_backward_row(std::int64_t width,
                                        const T* dy,
                                        const T* x,
                                        const float* gain,
                                        Lane mean,
                                        Lane rstd,
                                        T* dx,
                                        float* sums) {
  const TwoSums total = sum_two_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
    const Lane g = part.load(dy + i) * part.load(gain + i);
    return TwoLanes{g, g * ((part.load(x + i) - mean) * rstd)};
  });
  const Lane average(total.first / static_cast<double>(width));
  const Lane average_normal(total.second / static_cast<double>(width));
  for_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
    const Lane gradient = part.load(dy + i);
    const Lane normal = (part.load(x + i) - mean) * rstd;
    const Lane centred = gradient * part.load(gain + i) - average;
    part.store(rstd * neg_mul_add(normal, average_normal, centred), dx + i);
    part.store(mul_add(gradient, normal, part.load(sums + i)), sums + i);
    part.store(part.load(sums + width + i) + gradient, sums + width + i);
  });
}

template <class T>
void layer_norm_backward_rows(const Tensor& dy,
                              const Tensor& x,
                              const Tensor& gain,
                              const Tensor& mean,
                              const Tensor& rstd,
                              Tensor& dx,
                              Tensor& dgain,
                              Tensor& dbias) {
  const std::int64_t width = x.size(1);
  const std::vector<float> gains = parameter_or(gain, width, 1.0F);
  std::vector<float> sums(static_cast<std::size_t>(2 * width));
  column_sums(x.size(0), 2 * width, 1.0, sums.data(),
              [&](std::int64_t begin, std::int64_t end, float* partial) HWY_ATTR {
                for (std::int64_t row = begin; row < end; ++row) {
                  layer_norm_backward_row(
                      width, dy.data<T>() + row * width, x.data<T>() + row * width, gains.data(),
                      Lane(mean.data<float>()[row]), Lane(rstd.data<float>()[row]),
                      dx.data<T>() + row * width, partial);
                }
              });
  if (dgain.defined()) {
    std::copy_n(sums.begin(), width, dgain.data<float>());
  }
  if (dbias.defined()) {
    std::copy_n(sums.begin() + width, width, dbias.data<float>());
  }
}

void layer_norm_forward_f32(const Tensor& x,
                            const Tensor& gain,
                            const Tensor& bias,
                            Tensor& y,
                            Tensor& mean,
                            Tensor& rstd,
                            double eps) {
  layer_norm_forward_rows<float>(x, gain, bias, y, mean, rstd, eps);
}
void layer_norm_forward_bf16(const Tensor& x,
                             const Tensor& gain,
                             const Tensor& bias,
                             Tensor& y,
                             Tensor& mean,
                             Tensor& rstd,
                             double eps) {
  layer_norm_forward_rows<bf16>(x, gain, bias, y, mean, rstd, eps);
}
void layer_norm_backward_f32(const Tensor& dy,
                             const Tensor& x,
                             const Tensor& gain,
                             const Tensor& mean,
                             const Tensor& rstd,
                             Tensor& dx,
                             Tensor& dgain,
                             Tensor& dbias) {
  layer_norm_backward_rows<float>(dy, x, gain, mean, rstd, dx, dgain, dbias);
}
void layer_norm_backward_bf16(const Tensor& dy,
                              const Tensor& x,
                              const Tensor& gain,
                              const Tensor& mean,
                              const Tensor& rstd,
                              Tensor& dx,
                              Tensor& dgain,
                              Tensor& dbias) {
  layer_norm_backward_rows<bf16>(dy, x, gain, mean, rstd, dx, dgain, dbias);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(layer_norm_forward, kF32, layer_norm_forward_f32);
CLS_SIMD_KERNEL(layer_norm_forward, kBf16, layer_norm_forward_bf16);
CLS_SIMD_KERNEL(layer_norm_backward, kF32, layer_norm_backward_f32);
CLS_SIMD_KERNEL(layer_norm_backward, kBf16, layer_norm_backward_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
