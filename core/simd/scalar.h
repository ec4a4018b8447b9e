// SPDX-License-Identifier: Apache-2.0
// The lane maths on plain float and double: what a pointwise op means, before any SIMD.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>

/// Pointwise ops call these names without a namespace; SIMD lanes bring their own overloads
/// (core/simd/math-inl.h).
namespace clausius::simd {

template <std::floating_point T>
constexpr T select(bool condition, T yes, T no) {
  return condition ? yes : no;
}
template <std::floating_point T>
constexpr T abs(T x) {
  return std::fabs(x);
}
// The first operand comes through when either is NaN.
template <std::floating_point T>
constexpr T max(T a, T b) {
  return b > a ? b : a;
}
template <std::floating_point T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
/// a * b + c.
template <std::floating_point T>
constexpr T mul_add(T a, T b, T c) {
  return a * b + c;
}
template <std::floating_point T>
constexpr T sqrt(T x) {
  return std::sqrt(x);
}
template <std::floating_point T>
constexpr T rsqrt(T x) {
  return T(1) / std::sqrt(x);
}
template <std::floating_point T>
constexpr T exp(T x) {
  return std::exp(x);
}
template <std::floating_point T>
constexpr T expm1(T x) {
  return std::expm1(x);
}
template <std::floating_point T>
constexpr T log(T x) {
  return std::log(x);
}
template <std::floating_point T>
constexpr T log1p(T x) {
  return std::log1p(x);
}
template <std::floating_point T>
constexpr T tanh(T x) {
  return std::tanh(x);
}
template <std::floating_point T>
constexpr T erf(T x) {
  return std::erf(x);
}
/// 1 / (1 + e^-x), small for very negative x to full relative accuracy.
template <std::floating_point T>
constexpr T sigmoid(T x) {
  return x < T(0) ? std::exp(x) / (T(1) + std::exp(x)) : T(1) / (T(1) + std::exp(-x));
}
/// log(1 + e^x).
template <std::floating_point T>
constexpr T softplus(T x) {
  return std::isnan(x) ? x : std::max(x, T(0)) + std::log1p(std::exp(-std::fabs(x)));
}
/// The Gaussian distribution function, (1 + erf(x / sqrt 2)) / 2, small for very negative x to full
/// relative accuracy.
template <std::floating_point T>
constexpr T normal_cdf(T x) {
  return T(0.5) * std::erfc(x * T(-0.70710678118654752440));
}

}  // namespace clausius::simd
