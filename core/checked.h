// SPDX-License-Identifier: Apache-2.0
// Integer arithmetic that cannot go wrong silently: narrow<>, div_ceil, div_exact, round_up.
#pragma once

#include <concepts>
#include <cstdint>
#include <utility>

#include "core/error.h"

namespace clausius {

/// Converts between integer types; throws InternalError when the value does not fit.
template <std::integral To, std::integral From>
constexpr To narrow(From value) {
  CLS_CHECK(std::in_range<To>(value), InternalError, "integer ", value, " does not fit its type");
  return static_cast<To>(value);
}

template <std::integral T>
constexpr T div_ceil(T a, T b) {
  return (a + b - 1) / b;
}

template <std::integral T>
constexpr T round_up(T value, T multiple) {
  return div_ceil(value, multiple) * multiple;
}

/// a / b where b must divide a.
template <std::integral T>
constexpr T div_exact(T a, T b) {
  CLS_CHECK(b != 0 && a % b == 0, ShapeError, b, " does not divide ", a);
  return a / b;
}

}  // namespace clausius
