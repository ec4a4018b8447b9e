// SPDX-License-Identifier: Apache-2.0
// The definition of spectral_refresh: the two products one after the other, sums in double.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "core/ops/spectral_refresh/spectral_refresh.h"

namespace clausius::ops {
namespace detail {

inline double norm_of(const std::vector<double>& x) {
  double squares = 0;
  for (const double value : x) {
    squares += value * value;
  }
  return std::sqrt(squares);
}

/// What a matrix whose product has this norm reports when the norm is no divisor.
inline double refused_sigma(double norm) {
  return norm == 0.0 ? 0.0 : std::numeric_limits<double>::quiet_NaN();
}

inline bool is_divisor(double norm) {
  return norm > 0.0 && std::isfinite(norm);
}

/// One iteration on one matrix; returns sigma.
template <class T>
double spectral_iteration_reference(const Tensor& weight_MN, T* u, T* v, bool update) {
  const View<const T, 2> weight(weight_MN);
  const std::int64_t rows = weight_MN.size(0);
  const std::int64_t columns = weight_MN.size(1);
  std::vector<double> t(static_cast<std::size_t>(rows));
  for (std::int64_t m = 0; m < rows; ++m) {
    for (std::int64_t n = 0; n < columns; ++n) {
      t[static_cast<std::size_t>(m)] +=
          static_cast<double>(weight(m, n)) * static_cast<double>(u[n]);
    }
  }
  const double norm = norm_of(t);
  for (std::int64_t m = 0; m < rows; ++m) {
    double& value = t[static_cast<std::size_t>(m)];
    value = is_divisor(norm) ? value / norm : 0.0;
    v[m] = static_cast<T>(value);
  }
  if (!is_divisor(norm)) {
    return refused_sigma(norm);
  }
  if (!update) {
    return norm;
  }
  std::vector<double> r(static_cast<std::size_t>(columns));
  for (std::int64_t n = 0; n < columns; ++n) {
    for (std::int64_t m = 0; m < rows; ++m) {
      r[static_cast<std::size_t>(n)] +=
          static_cast<double>(weight(m, n)) * t[static_cast<std::size_t>(m)];
    }
  }
  const double sigma = norm_of(r);
  if (!is_divisor(sigma)) {
    std::fill(v, v + rows, T(0));
    return refused_sigma(sigma);
  }
  for (std::int64_t n = 0; n < columns; ++n) {
    u[n] = static_cast<T>(r[static_cast<std::size_t>(n)] / sigma);
  }
  return sigma;
}

}  // namespace detail

template <class T>
void spectral_refresh_reference(
    Matrices weights, Tensor& u, Tensor& v, Tensor& sigma, int power_iterations) {
  T* u_at = u.data<T>();
  T* v_at = v.data<T>();
  for (std::size_t e = 0; e < weights.size(); ++e) {
    double norm = 0;
    for (int i = 0; i < std::max(1, power_iterations); ++i) {
      norm = detail::spectral_iteration_reference<T>(weights[e], u_at, v_at, power_iterations > 0);
    }
    sigma.data<T>()[e] = static_cast<T>(norm);
    u_at += weights[e].size(1);
    v_at += weights[e].size(0);
  }
}

}  // namespace clausius::ops
