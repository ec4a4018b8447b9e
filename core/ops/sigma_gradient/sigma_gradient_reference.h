// SPDX-License-Identifier: Apache-2.0
// The definition of sigma_products and sigma_apply: loops in double.
#pragma once

#include <cstddef>

#include "core/ops/sigma_gradient/sigma_gradient.h"

namespace clausius::ops {

template <class T>
void sigma_products_reference(std::span<const SigmaMatrix> matrices, Tensor& c) {
  for (std::size_t e = 0; e < matrices.size(); ++e) {
    const View<const T, 2> weight(matrices[e].weight_MN);
    const View<const T, 2> gradient(matrices[e].gradient_MN);
    double sum = 0;
    for (std::int64_t m = 0; m < matrices[e].weight_MN.size(0); ++m) {
      for (std::int64_t n = 0; n < matrices[e].weight_MN.size(1); ++n) {
        sum += static_cast<double>(gradient(m, n)) * static_cast<double>(weight(m, n));
      }
    }
    c.data<double>()[e] = sum;
  }
}

template <class T>
void sigma_apply_reference(std::span<const SigmaMatrix> matrices,
                           const Tensor& u,
                           const Tensor& v,
                           const Tensor& sigma,
                           const Tensor& c,
                           bool grad_through_sigma) {
  const T* u_at = u.data<T>();
  const T* v_at = v.data<T>();
  for (std::size_t e = 0; e < matrices.size(); ++e) {
    const SigmaMatrix& matrix = matrices[e];
    const double norm = static_cast<double>(sigma.data<T>()[e]);
    const double dgamma = c.data<double>()[e] / norm;
    const double alpha = static_cast<double>(*matrix.gamma.template data<T>()) / norm;
    const double along = grad_through_sigma ? dgamma : 0.0;
    const View<T, 2> gradient(matrix.gradient_MN);
    for (std::int64_t m = 0; m < matrix.weight_MN.size(0); ++m) {
      for (std::int64_t n = 0; n < matrix.weight_MN.size(1); ++n) {
        const double rank_one = static_cast<double>(v_at[m]) * static_cast<double>(u_at[n]);
        gradient(m, n) =
            static_cast<T>(alpha * (static_cast<double>(gradient(m, n)) - along * rank_one));
      }
    }
    Tensor to = matrix.dgamma;
    *to.data<T>() = static_cast<T>(dgamma);
    u_at += matrix.weight_MN.size(1);
    v_at += matrix.weight_MN.size(0);
  }
}

}  // namespace clausius::ops
