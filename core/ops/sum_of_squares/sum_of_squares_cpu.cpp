// SPDX-License-Identifier: Apache-2.0
// sum_of_squares on the CPU: f64 lanes over fixed chunks.
#include "core/ops/sum_of_squares/sum_of_squares.h"
#include "core/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/sum_of_squares/sum_of_squares_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

double squares_of(const float* x, std::int64_t count) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto add_square = [&](const float* from, hn::Vec<decltype(d)>& sum) {
    const auto wide = hn::PromoteTo(d, hn::LoadU(half, from));
    sum = hn::MulAdd(wide, wide, sum);
  };
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto sum2 = hn::Zero(d);
  auto sum3 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    add_square(x + i, sum0);
    add_square(x + i + lanes, sum1);
    add_square(x + i + 2 * lanes, sum2);
    add_square(x + i + 3 * lanes, sum3);
  }
  double total = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3))));
  for (; i < count; ++i) {
    total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  return total;
}

}  // namespace clausius::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::ops {
namespace {

HWY_EXPORT(squares_of);

constexpr std::int64_t kChunk = 1 << 15;

void sum_of_squares_cpu(const Tensor& x_N, double& sum) {
  const auto kernel = HWY_DYNAMIC_DISPATCH(squares_of);
  const float* x = x_N.data<float>();
  sum = parallel_sum<double>(x_N.numel(), kChunk, [&](std::int64_t begin, std::int64_t end) {
    return kernel(x + begin, end - begin);
  });
}

CLS_KERNEL(sum_of_squares, kCpu, kF32, sum_of_squares_cpu);

}  // namespace
}  // namespace clausius::ops
#endif  // HWY_ONCE
