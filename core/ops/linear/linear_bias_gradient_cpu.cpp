// SPDX-License-Identifier: Apache-2.0
// Column sums on the CPU: SIMD lanes along the rows, 256 rows a block; blocks are added in f64, in order.
#include <algorithm>
#include <vector>

#include "core/ops/linear/linear.h"
#include "core/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/linear/linear_bias_gradient_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/simd/bfloat16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// sums += four rows (or one), for whole vectors of columns from `begin`; returns where it stopped.
template <class D, class T>
std::int64_t add_rows(D d,
                      const T* x,
                      std::int64_t stride,
                      bool four,
                      std::int64_t begin,
                      std::int64_t end,
                      float* sums) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto row = [&](std::int64_t r, std::int64_t c) {
    return simd::HWY_NAMESPACE::load_f32(d, x + r * stride + c);
  };
  std::int64_t c = begin;
  for (; c + lanes <= end; c += lanes) {
    auto sum = row(0, c);
    if (four) {
      sum = hn::Add(hn::Add(sum, row(1, c)), hn::Add(row(2, c), row(3, c)));
    }
    hn::StoreU(hn::Add(hn::LoadU(d, sums + c), sum), d, sums + c);
  }
  return c;
}

template <class T>
void sum_rows(
    const T* x, std::int64_t stride, std::int64_t rows, std::int64_t columns, float* sums) {
  std::fill(sums, sums + columns, 0.0F);
  for (std::int64_t r = 0; r < rows;) {
    const bool four = r + 4 <= rows;
    const T* from = x + r * stride;
    const std::int64_t rest =
        add_rows(hn::ScalableTag<float>(), from, stride, four, 0, columns, sums);
    add_rows(hn::CappedTag<float, 1>(), from, stride, four, rest, columns, sums);
    r += four ? 4 : 1;
  }
}

void sum_rows_f32(
    const float* x, std::int64_t stride, std::int64_t rows, std::int64_t columns, float* sums) {
  sum_rows(x, stride, rows, columns, sums);
}

void sum_rows_bf16(
    const bf16* x, std::int64_t stride, std::int64_t rows, std::int64_t columns, float* sums) {
  sum_rows(x, stride, rows, columns, sums);
}

}  // namespace clausius::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::ops {
namespace {

HWY_EXPORT(sum_rows_f32);
HWY_EXPORT(sum_rows_bf16);

constexpr std::int64_t kBlockRows = 256;

template <class T, class Kernel>
void column_sums(const Tensor& dy_RN, Tensor& dbias_N, bool accumulate, Kernel kernel) {
  const Tensor dy = dy_RN.last_is_dense() ? dy_RN : dy_RN.contiguous();
  const std::int64_t rows = dy.size(0);
  const std::int64_t columns = dy.size(1);
  const std::int64_t blocks = div_ceil(rows, kBlockRows);
  const T* x = dy.data<T>();
  std::vector<float> partial(static_cast<std::size_t>(blocks * columns));
  parallel_for(rows, kBlockRows, [&](std::int64_t begin, std::int64_t end) {
    kernel(x + begin * dy.stride(0), dy.stride(0), end - begin, columns,
           partial.data() + begin / kBlockRows * columns);
  });
  const View<float, 1> dbias(dbias_N);
  for (std::int64_t n = 0; n < columns; ++n) {
    double sum = accumulate ? static_cast<double>(dbias(n)) : 0.0;
    for (std::int64_t block = 0; block < blocks; ++block) {
      sum += static_cast<double>(partial[static_cast<std::size_t>(block * columns + n)]);
    }
    dbias(n) = static_cast<float>(sum);
  }
}

void linear_bias_gradient_f32(const Tensor& dy_RN, Tensor& dbias_N, bool accumulate) {
  column_sums<float>(dy_RN, dbias_N, accumulate, HWY_DYNAMIC_DISPATCH(sum_rows_f32));
}

void linear_bias_gradient_bf16(const Tensor& dy_RN, Tensor& dbias_N, bool accumulate) {
  column_sums<bf16>(dy_RN, dbias_N, accumulate, HWY_DYNAMIC_DISPATCH(sum_rows_bf16));
}

CLS_KERNEL(linear_bias_gradient, kCpu, kF32, linear_bias_gradient_f32);
CLS_KERNEL(linear_bias_gradient, kCpu, kBf16, linear_bias_gradient_bf16);

}  // namespace
}  // namespace clausius::ops
#endif  // HWY_ONCE
