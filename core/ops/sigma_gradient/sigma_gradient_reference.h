// SPDX-License-Identifier: Apache-2.0
// The definition of sigma_products and sigma_apply: loops in double.
#pragma once

#include "core/ops/sigma_gradient/sigma_gradient.h"

namespace clausius::ops {

namespace detail {

/// <G, W> of the whole matrix.
inline double sigma_product_of(const SigmaMatrix& matrix) {
  double sum = 0;
  for (const double part : matrix.c_S.span<double>()) {
    sum += part;
  }
  return sum;
}

}  // namespace detail

template <class T>
void sigma_products_reference(std::span<const SigmaMatrix> matrices) {
  for (const SigmaMatrix& matrix : matrices) {
    const View<const T, 2> weight(matrix.weight_MN);
    const View<const T, 2> gradient(matrix.gradient_MN);
    double sum = 0;
    for (std::int64_t m = 0; m < matrix.weight_MN.size(0); ++m) {
      for (std::int64_t n = 0; n < matrix.weight_MN.size(1); ++n) {
        sum += static_cast<double>(gradient(m, n)) * static_cast<double>(weight(m, n));
      }
    }
    Tensor c = matrix.c_S;
    c.data<double>()[matrix.slot] = sum;
  }
}

template <class T>
void sigma_apply_reference(std::span<const SigmaMatrix> matrices, bool grad_through_sigma) {
  for (const SigmaMatrix& matrix : matrices) {
    const auto norm = static_cast<double>(*matrix.sigma.template data<T>());
    const double gamma = matrix.gamma ? static_cast<double>(*matrix.gamma.template data<T>()) : 1.0;
    const double along = grad_through_sigma ? detail::sigma_product_of(matrix) / norm : 0.0;
    const T* u = matrix.u_N.template data<T>();
    const T* v = matrix.v_M.template data<T>();
    const View<T, 2> gradient(matrix.gradient_MN);
    for (std::int64_t m = 0; m < matrix.weight_MN.size(0); ++m) {
      for (std::int64_t n = 0; n < matrix.weight_MN.size(1); ++n) {
        const double rank_one = static_cast<double>(v[m]) * static_cast<double>(u[n]);
        gradient(m, n) =
            static_cast<T>(gamma / norm * (static_cast<double>(gradient(m, n)) - along * rank_one));
      }
    }
  }
}

}  // namespace clausius::ops
