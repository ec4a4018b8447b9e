// SPDX-License-Identifier: Apache-2.0
// CPU kernels of the reductions, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/reduce/reduce_cpu.cpp"
#include <cmath>
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
                               [=](std::int64_t row, float* sums) HWY_ATTR {
                                 const T* in = from + row * width;
                                 for_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
                                   part.store(part.load(sums + i) + part.load(in + i), sums + i);
                                 });
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

// The row's maximum by lanes, then its first place; a NaN is found by the sum of x - x.
template <class T>
void max_row(std::int64_t n, const T* x, float* value, std::int64_t* index) {
  const float largest = max_lanes(n, x);
  const auto is_it = [largest](T element) { return static_cast<float>(element) == largest; };
  const auto is_nan = [](T element) { return std::isnan(static_cast<float>(element)); };
  const double nans = sum_lanes(n, [=](auto part, std::int64_t i) HWY_ATTR {
    const Lane element = part.load(x + i);
    return select(element == element, Lane(0.0F), Lane(1.0F));
  });
  const T* found = nans > 0 ? std::find_if(x, x + n, is_nan) : std::find_if(x, x + n, is_it);
  *value = static_cast<float>(*found);
  *index = found - x;
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
