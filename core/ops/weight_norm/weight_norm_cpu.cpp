// SPDX-License-Identifier: Apache-2.0
// CPU kernels of weight_norm, compiled once per instruction set: rows shared out among the threads, sums in f64.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/weight_norm/weight_norm_cpu.cpp"
#include <algorithm>
#include <cmath>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/weight_norm/weight_norm.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/lane-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

double row_product(const float* a, const float* b, std::int64_t count) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    sum = hn::MulAdd(hn::PromoteTo(d, hn::LoadU(half, a + i)),
                     hn::PromoteTo(d, hn::LoadU(half, b + i)), sum);
  }
  double total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < count; ++i) {
    total += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return total;
}

template <class T>
void scale_row(const float* v, T* w, std::int64_t count, float factor) {
  const Lane scale(factor);
  for_lanes(count, [=](auto part, std::int64_t i)
                       HWY_ATTR { part.store(scale * part.load(v + i), w + i); });
}

// gradient = alpha gradient + factor v
void combine_row(float* gradient, const float* v, std::int64_t count, float alpha, float factor) {
  const Lane scale(alpha);
  const Lane along(factor);
  for_lanes(count, [=](auto part, std::int64_t i) HWY_ATTR {
    part.store(mul_add(scale, part.load(gradient + i), along * part.load(v + i)), gradient + i);
  });
}

template <class Fn>
void for_each_row(const Tensor& v_MN, const Fn& fn) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, (1 << 15) / std::max<std::int64_t>(1, v_MN.size(1)));
  parallel_for(v_MN.size(0), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      fn(row, v_MN.data<float>() + row * v_MN.stride(0));
    }
  });
}

void weight_norm_f32(const Tensor& v_MN, const Tensor& gain_M, Tensor& norm_M, Tensor& w_MN) {
  const std::int64_t columns = v_MN.size(1);
  for_each_row(v_MN, [&](std::int64_t row, const float* v) {
    const double norm = std::sqrt(row_product(v, v, columns));
    norm_M.data<float>()[row] = static_cast<float>(norm);
    const auto factor = static_cast<float>(static_cast<double>(gain_M.data<float>()[row]) / norm);
    if (w_MN.dtype() == Dtype::kBf16) {
      scale_row(v, w_MN.data<bf16>() + row * w_MN.stride(0), columns, factor);
    } else {
      scale_row(v, w_MN.data<float>() + row * w_MN.stride(0), columns, factor);
    }
  });
}

void weight_norm_products_f32(const Tensor& v_MN, const Tensor& gradient_MN, Tensor& c_M) {
  for_each_row(v_MN, [&](std::int64_t row, const float* v) {
    c_M.data<double>()[row] +=
        row_product(v, gradient_MN.data<float>() + row * gradient_MN.stride(0), v_MN.size(1));
  });
}

void weight_norm_apply_f32(const Tensor& v_MN,
                           const Tensor& gain_M,
                           const Tensor& norm_M,
                           const Tensor& c_M,
                           Tensor& gradient_MN) {
  for_each_row(v_MN, [&](std::int64_t row, const float* v) {
    const auto norm = static_cast<double>(norm_M.data<float>()[row]);
    const double alpha = static_cast<double>(gain_M.data<float>()[row]) / norm;
    const double along = -alpha * c_M.data<double>()[row] / (norm * norm);
    combine_row(gradient_MN.data<float>() + row * gradient_MN.stride(0), v, v_MN.size(1),
                static_cast<float>(alpha), static_cast<float>(along));
  });
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(weight_norm, kF32, weight_norm_f32);
CLS_SIMD_KERNEL(weight_norm_products, kF32, weight_norm_products_f32);
CLS_SIMD_KERNEL(weight_norm_apply, kF32, weight_norm_apply_f32);
}  // namespace clausius::simd
#endif  // HWY_ONCE
