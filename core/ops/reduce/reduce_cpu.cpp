// SPDX-License-Identifier: Apache-2.0
// CPU kernels of the reductions, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/reduce/reduce_cpu.cpp"
#include <cmath>
#include <limits>
#include <vector>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/reduce/reduce.h"
#include "core/simd/column_sums-inl.h"
#include "core/simd/dispatch.h"
#include "core/simd/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

constexpr std::int64_t kReduceGrain = 1 << 15;

template <class T>
HWY_INLINE double sum_run(const T* x, std::int64_t n) {
  return sum_lanes(n, [=](auto part, std::int64_t i) HWY_ATTR { return part.load(x + i); });
}

// One total a row; long rows are cut into pieces so that a single row is shared out too.
template <class T>
void sum_rows(std::int64_t rows, std::int64_t width, const T* x, float* y, double factor) {
  const std::int64_t pieces = div_ceil(width, kReduceGrain);
  if (pieces == 1) {
    parallel_for(rows, std::max<std::int64_t>(1, kReduceGrain / width),
                 [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
                   for (std::int64_t row = begin; row < end; ++row) {
                     y[row] = static_cast<float>(factor * sum_run(x + row * width, width));
                   }
                 });
    return;
  }
  std::vector<double> partial(static_cast<std::size_t>(rows * pieces));
  parallel_for(rows * pieces, 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first = (task % pieces) * kReduceGrain;
      const std::int64_t length = std::min(kReduceGrain, width - first);
      partial[static_cast<std::size_t>(task)] =
          sum_run(x + (task / pieces) * width + first, length);
    }
  });
  for (std::int64_t row = 0; row < rows; ++row) {
    double total = 0;
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      total += partial[static_cast<std::size_t>(row * pieces + piece)];
    }
    y[row] = static_cast<float>(factor * total);
  }
}

template <class T>
void sum_middle(const Tensor& x, Tensor& y, double factor) {
  const std::int64_t rows = x.size(1);
  const std::int64_t width = x.size(2);
  if (width == 1) {
    return sum_rows(x.size(0), rows, x.data<T>(), y.data<float>(), factor);
  }
  // Several slabs are enough work for all threads; one slab is shared out by its rows.
  parallel_for(x.size(0), std::max<std::int64_t>(1, kReduceGrain / (rows * width)),
               [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
                 for (std::int64_t slab = begin; slab < end; ++slab) {
                   const T* from = x.data<T>() + slab * rows * width;
                   column_sums(rows, width, factor, y.data<float>() + slab * width,
                               [=](std::int64_t first, std::int64_t last, float* sums) HWY_ATTR {
                                 add_rows(width, last - first, from + first * width, width, sums);
                               });
                 }
               });
}

// Largest of each column of a [rows, width] slab, the first of equals, NaN largest of all.
template <class T>
void max_columns(
    std::int64_t rows, std::int64_t width, const T* x, float* value, std::int64_t* index) {
  for (std::int64_t i = 0; i < width; ++i) {
    value[i] = static_cast<float>(x[i]);
    index[i] = 0;
  }
  for (std::int64_t row = 1; row < rows; ++row) {
    for (std::int64_t i = 0; i < width; ++i) {
      const auto candidate = static_cast<float>(x[row * width + i]);
      if (!(candidate <= value[i]) && !std::isnan(value[i])) {
        value[i] = candidate;
        index[i] = row;
      }
    }
  }
}

// Index of the first element that passes `test`, n where none does; `never` is a value that does not.
template <class T, class Test>
HWY_INLINE std::int64_t first_where(std::int64_t n, const T* x, float never, const Test& test) {
  const std::int64_t step = Lane::size();
  for (std::int64_t i = 0; i < n; i += step) {
    const Lane element = i + step <= n ? load(x + i) : Head{n - i}.load(x + i, never);
    const std::intptr_t place = hn::FindFirstTrue(Floats(), test(element).raw);
    if (place >= 0) {
      return i + place;
    }
  }
  return n;
}

template <class T>
void max_row(std::int64_t n, const T* x, float* value, std::int64_t* index) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::int64_t first_nan = first_where(
      n, x, 0.0F, [](Lane element) HWY_ATTR { return Condition{hn::IsNaN(element.raw)}; });
  if (first_nan < n) {
    *value = nan;
    *index = first_nan;
    return;
  }
  *value = max_lanes(n, x);
  const Lane largest(*value);
  *index = first_where(n, x, nan, [largest](Lane element) HWY_ATTR { return element == largest; });
}

template <class T>
void max_middle(const Tensor& x, Tensor& value, Tensor& index) {
  const std::int64_t rows = x.size(1);
  const std::int64_t width = x.size(2);
  parallel_for(x.size(0), std::max<std::int64_t>(1, kReduceGrain / (rows * width)),
               [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
                 for (std::int64_t slab = begin; slab < end; ++slab) {
                   const T* from = x.data<T>() + slab * rows * width;
                   float* to = value.data<float>() + slab * width;
                   std::int64_t* where = index.data<std::int64_t>() + slab * width;
                   if (width == 1) {
                     max_row(rows, from, to, where);
                   } else {
                     max_columns(rows, width, from, to, where);
                   }
                 }
               });
}

void sum_f32(const Tensor& x, Tensor& y, double factor) {
  sum_middle<float>(x, y, factor);
}
void sum_bf16(const Tensor& x, Tensor& y, double factor) {
  sum_middle<bf16>(x, y, factor);
}
void max_f32(const Tensor& x, Tensor& value, Tensor& index) {
  max_middle<float>(x, value, index);
}
void max_bf16(const Tensor& x, Tensor& value, Tensor& index) {
  max_middle<bf16>(x, value, index);
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(sum, kF32, sum_f32);
CLS_SIMD_KERNEL(sum, kBf16, sum_bf16);
CLS_SIMD_KERNEL(max, kF32, max_f32);
CLS_SIMD_KERNEL(max, kBf16, max_bf16);
}  // namespace clausius::simd
#endif  // HWY_ONCE
