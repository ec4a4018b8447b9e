// SPDX-License-Identifier: Apache-2.0
// Column sums of a tall matrix while its rows are walked once: fixed chunks of rows, partial sums added in order. Read once per
// instruction set.

#if defined(CLAUSIUS_CORE_SIMD_COLUMN_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_CORE_SIMD_COLUMN_SUMS_INL_H_
#undef CLAUSIUS_CORE_SIMD_COLUMN_SUMS_INL_H_
#else
#define CLAUSIUS_CORE_SIMD_COLUMN_SUMS_INL_H_
#endif

#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "core/simd/lane-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

/// Rows of one chunk, added up in f32: enough work for a task, few enough for the sum to keep its digits. Depends on the width alone.
HWY_INLINE std::int64_t rows_per_chunk(std::int64_t width) {
  return std::max<std::int64_t>(64,
                                div_ceil<std::int64_t>(1 << 13, std::max<std::int64_t>(1, width)));
}

/// sums[i] += column i of `rows` rows, `step` elements apart. Four rows at a time: the running sums are read and written a quarter as
/// often.
template <class T>
HWY_INLINE void add_rows(
    std::int64_t width, std::int64_t rows, const T* x, std::int64_t step, float* sums) {
  std::int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    const T* in = x + row * step;
    for_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
      const Lane two = part.load(in + i) + part.load(in + step + i);
      const Lane other = part.load(in + 2 * step + i) + part.load(in + 3 * step + i);
      part.store(part.load(sums + i) + (two + other), sums + i);
    });
  }
  for (; row < rows; ++row) {
    const T* in = x + row * step;
    for_lanes(width, [=](auto part, std::int64_t i) HWY_ATTR {
      part.store(part.load(sums + i) + part.load(in + i), sums + i);
    });
  }
}

/// Calls body(begin, end, sums) for each chunk of rows, where `sums` is the chunk's own zero-filled f32 row of `width` to add to;
/// then to[i] = factor * sum over chunks, in f64 and in order.
template <class Body>
HWY_INLINE void column_sums(
    std::int64_t rows, std::int64_t width, double factor, float* to, const Body& body) {
  const std::int64_t length = rows_per_chunk(width);
  const std::int64_t chunks = div_ceil(rows, length);
  std::vector<float> partial(static_cast<std::size_t>(chunks * width), 0.0F);
  parallel_for(rows, length, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    body(begin, end, partial.data() + (begin / length) * width);
  });
  constexpr std::int64_t kBlock = 512;
  parallel_for(width, kBlock, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    double totals[kBlock] = {};
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      const float* sums = partial.data() + chunk * width + begin;
      for (std::int64_t i = 0; i < end - begin; ++i) {
        totals[i] += static_cast<double>(sums[i]);
      }
    }
    for (std::int64_t i = 0; i < end - begin; ++i) {
      to[begin + i] = static_cast<float>(factor * totals[i]);
    }
  });
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CLAUSIUS_CORE_SIMD_COLUMN_SUMS_INL_H_
