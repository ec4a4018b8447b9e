// SPDX-License-Identifier: Apache-2.0
// The definition of weight_norm: loops in double.
#pragma once

#include <cmath>

#include "core/ops/weight_norm/weight_norm.h"

namespace clausius::ops {
namespace detail {

/// w in its own type, which may be bf16 where v is f32.
template <class T>
void store_row(Tensor& w_MN, std::int64_t row, const View<const T, 2>& v, double scale) {
  for (std::int64_t n = 0; n < w_MN.size(1); ++n) {
    const double value = scale * static_cast<double>(v(row, n));
    if (w_MN.dtype() == Dtype::kBf16) {
      w_MN.data<bf16>()[row * w_MN.stride(0) + n] = bf16(static_cast<float>(value));
    } else {
      w_MN.data<T>()[row * w_MN.stride(0) + n] = static_cast<T>(value);
    }
  }
}

}  // namespace detail

template <class T>
void weight_norm_reference(const Tensor& v_MN, const Tensor& gain_M, Tensor& norm_M, Tensor& w_MN) {
  const View<const T, 2> v(v_MN);
  for (std::int64_t m = 0; m < v_MN.size(0); ++m) {
    double squares = 0;
    for (std::int64_t n = 0; n < v_MN.size(1); ++n) {
      squares += static_cast<double>(v(m, n)) * static_cast<double>(v(m, n));
    }
    const double norm = std::sqrt(squares);
    norm_M.data<T>()[m] = static_cast<T>(norm);
    detail::store_row<T>(w_MN, m, v, static_cast<double>(gain_M.data<T>()[m]) / norm);
  }
}

template <class T>
void weight_norm_products_reference(const Tensor& v_MN, const Tensor& gradient_MN, Tensor& c_M) {
  const View<const T, 2> v(v_MN);
  const View<const T, 2> gradient(gradient_MN);
  for (std::int64_t m = 0; m < v_MN.size(0); ++m) {
    double sum = 0;
    for (std::int64_t n = 0; n < v_MN.size(1); ++n) {
      sum += static_cast<double>(v(m, n)) * static_cast<double>(gradient(m, n));
    }
    c_M.data<double>()[m] += sum;
  }
}

template <class T>
void weight_norm_apply_reference(const Tensor& v_MN,
                                 const Tensor& gain_M,
                                 const Tensor& norm_M,
                                 const Tensor& c_M,
                                 Tensor& gradient_MN) {
  const View<const T, 2> v(v_MN);
  const View<T, 2> gradient(gradient_MN);
  for (std::int64_t m = 0; m < v_MN.size(0); ++m) {
    const auto norm = static_cast<double>(norm_M.data<T>()[m]);
    const double alpha = static_cast<double>(gain_M.data<T>()[m]) / norm;
    const double along = c_M.data<double>()[m] / (norm * norm);
    for (std::int64_t n = 0; n < v_MN.size(1); ++n) {
      gradient(m, n) = static_cast<T>(
          alpha * (static_cast<double>(gradient(m, n)) - along * static_cast<double>(v(m, n))));
    }
  }
}

template <class T>
void weight_norm_gain_gradient_reference(const Tensor& norm_M, const Tensor& c_M, Tensor& dgain_M) {
  for (std::int64_t m = 0; m < c_M.size(0); ++m) {
    dgain_M.data<T>()[m] =
        static_cast<T>(c_M.data<double>()[m] / static_cast<double>(norm_M.data<T>()[m]));
  }
}

}  // namespace clausius::ops
