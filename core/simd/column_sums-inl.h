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

/// Rows of one chunk: at least 16 KiB of f32, and no more than 64 chunks in all. Depends on the shape alone, never on threads.
HWY_INLINE std::int64_t rows_per_chunk(std::int64_t rows, std::int64_t width) {
  const std::int64_t enough = div_ceil<std::int64_t>(1 << 12, std::max<std::int64_t>(1, width));
  return std::max({std::int64_t{1}, enough, div_ceil<std::int64_t>(rows, 64)});
}

/// Calls body(row, sums) for every row, where `sums` is the chunk's own zero-filled f32 row of `width`; then
/// to[i] = factor * sum over chunks, in f64 and in order.
template <class Body>
HWY_INLINE void column_sums(
    std::int64_t rows, std::int64_t width, double factor, float* to, const Body& body) {
  const std::int64_t length = rows_per_chunk(rows, width);
  const std::int64_t chunks = div_ceil(rows, length);
  std::vector<float> partial(static_cast<std::size_t>(chunks * width), 0.0F);
  parallel_for(rows, length, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    float* sums = partial.data() + (begin / length) * width;
    for (std::int64_t row = begin; row < end; ++row) {
      body(row, sums);
    }
  });
  parallel_for(width, 1 << 10, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t i = begin; i < end; ++i) {
      double total = 0;
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        total += static_cast<double>(partial[static_cast<std::size_t>(chunk * width + i)]);
      }
      to[i] = static_cast<float>(factor * total);
    }
  });
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CLAUSIUS_CORE_SIMD_COLUMN_SUMS_INL_H_
