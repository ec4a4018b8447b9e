// SPDX-License-Identifier: Apache-2.0
// CPU kernel of sum_of_squares, compiled once per instruction set: f64 lanes over fixed chunks.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/sum_of_squares/sum_of_squares_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/sum_of_squares/sum_of_squares.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

double squares_of(const float* x, std::int64_t count) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto x0 = hn::PromoteTo(d, hn::LoadU(half, x + i));
    const auto x1 = hn::PromoteTo(d, hn::LoadU(half, x + i + lanes));
    sum0 = hn::MulAdd(x0, x0, sum0);
    sum1 = hn::MulAdd(x1, x1, sum1);
  }
  double total = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  for (; i < count; ++i) {
    total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  return total;
}

void sum_of_squares_f32(const Tensor& x_N, Tensor& sum) {
  constexpr std::int64_t kChunk = 1 << 15;
  const float* x = x_N.data<float>();
  sum.data<double>()[0] = parallel_sum<double>(
      x_N.numel(), kChunk,
      [=](std::int64_t begin, std::int64_t end) { return squares_of(x + begin, end - begin); });
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(sum_of_squares, kF32, sum_of_squares_f32);
}  // namespace clausius::simd
#endif  // HWY_ONCE
