// SPDX-License-Identifier: Apache-2.0
// Sums and maxima over long runs of lanes, in a fixed order. Read once per instruction set.

#if defined(CLAUSIUS_CORE_SIMD_SUM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CLAUSIUS_CORE_SIMD_SUM_INL_H_
#undef CLAUSIUS_CORE_SIMD_SUM_INL_H_
#else
#define CLAUSIUS_CORE_SIMD_SUM_INL_H_
#endif

#include <algorithm>

#include "core/simd/lane-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

/// Terms added in f32 before the sum moves to f64.
inline constexpr std::int64_t kSumBlock = 1 << 11;

/// Sum of term(part, i) over [0, n): f32 lanes inside blocks of 2048, f64 across them. `term` is a lambda marked HWY_ATTR that takes
/// `auto part` and returns a Lane; lanes beyond the end are left out here.
template <class Term>
HWY_INLINE double sum_lanes(std::int64_t n, const Term& term) {
  const std::int64_t step = Lane::size();
  double total = 0;
  for (std::int64_t begin = 0; begin < n; begin += kSumBlock) {
    const std::int64_t end = std::min(n, begin + kSumBlock);
    Lane a;
    Lane b;
    Lane c;
    Lane d;
    std::int64_t i = begin;
    // Four chains of additions, so that they overlap.
    for (; i + 4 * step <= end; i += 4 * step) {
      a = a + term(Whole{}, i);
      b = b + term(Whole{}, i + step);
      c = c + term(Whole{}, i + 2 * step);
      d = d + term(Whole{}, i + 3 * step);
    }
    for (; i + step <= end; i += step) {
      a = a + term(Whole{}, i);
    }
    if (i < end) {
      const Head head{end - i};
      b = b + head.keep(term(head, i));
    }
    total += static_cast<double>(sum_of((a + b) + (c + d)));
  }
  return total;
}

struct TwoLanes {
  Lane first;
  Lane second;
};
struct TwoSums {
  double first = 0;
  double second = 0;
};

/// Two sums in one pass; `terms` returns TwoLanes.
template <class Terms>
HWY_INLINE TwoSums sum_two_lanes(std::int64_t n, const Terms& terms) {
  const std::int64_t step = Lane::size();
  TwoSums total;
  for (std::int64_t begin = 0; begin < n; begin += kSumBlock) {
    const std::int64_t end = std::min(n, begin + kSumBlock);
    TwoLanes a{Lane(), Lane()};
    TwoLanes b{Lane(), Lane()};
    std::int64_t i = begin;
    for (; i + 2 * step <= end; i += 2 * step) {
      const TwoLanes even = terms(Whole{}, i);
      const TwoLanes odd = terms(Whole{}, i + step);
      a = {a.first + even.first, a.second + even.second};
      b = {b.first + odd.first, b.second + odd.second};
    }
    for (; i + step <= end; i += step) {
      const TwoLanes even = terms(Whole{}, i);
      a = {a.first + even.first, a.second + even.second};
    }
    if (i < end) {
      const Head head{end - i};
      const TwoLanes rest = terms(head, i);
      b = {b.first + head.keep(rest.first), b.second + head.keep(rest.second)};
    }
    total.first += static_cast<double>(sum_of(a.first + b.first));
    total.second += static_cast<double>(sum_of(a.second + b.second));
  }
  return total;
}

/// Largest of x[0..n), -inf for n = 0. A NaN may be passed over.
template <class T>
HWY_INLINE float max_lanes(std::int64_t n, const T* x) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  const std::int64_t step = Lane::size();
  Lane a(kLowest);
  Lane b(kLowest);
  std::int64_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    a = max(a, load(x + i));
    b = max(b, load(x + i + step));
  }
  for (; i + step <= n; i += step) {
    a = max(a, load(x + i));
  }
  if (i < n) {
    b = max(b, Head{n - i}.load(x + i, kLowest));
  }
  return max_of(max(a, b));
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CLAUSIUS_CORE_SIMD_SUM_INL_H_
