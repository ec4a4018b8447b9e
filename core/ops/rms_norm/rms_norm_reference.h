// SPDX-License-Identifier: Apache-2.0
// Root-mean-square normalisation by its definition, on dense [R, M] tensors.
#pragma once

#include <cmath>

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void rms_norm_forward_reference(
    const Tensor& x, const Tensor& gain, Tensor& y, Tensor& rstd, double eps) {
  const std::int64_t rows = x.size(0);
  const std::int64_t width = x.size(1);
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* in = x.data<T>() + r * width;
    T* out = y.data<T>() + r * width;
    double squares = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      squares += static_cast<double>(in[i]) * static_cast<double>(in[i]);
    }
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + eps);
    for (std::int64_t i = 0; i < width; ++i) {
      const double normal = static_cast<double>(in[i]) * scale;
      out[i] =
          static_cast<T>(gain.defined() ? normal * static_cast<double>(gain.data<T>()[i]) : normal);
    }
    rstd.data<T>()[r] = static_cast<T>(scale);
  }
}

template <class T>
void rms_norm_backward_reference(const Tensor& dy,
                                 const Tensor& x,
                                 const Tensor& gain,
                                 const Tensor& rstd,
                                 Tensor& dx,
                                 Tensor& dgain) {
  const std::int64_t rows = x.size(0);
  const std::int64_t width = x.size(1);
  const auto value = [width](const Tensor& tensor, std::int64_t r, std::int64_t i) {
    return static_cast<double>(tensor.data<T>()[r * width + i]);
  };
  const auto normal = [&](std::int64_t r, std::int64_t i) {
    return value(x, r, i) * static_cast<double>(rstd.data<T>()[r]);
  };
  const auto gained = [&](std::int64_t r, std::int64_t i) {
    return gain.defined() ? value(dy, r, i) * static_cast<double>(gain.data<T>()[i])
                          : value(dy, r, i);
  };
  for (std::int64_t r = 0; r < rows; ++r) {
    double sum_normal = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      sum_normal += gained(r, i) * normal(r, i);
    }
    const double average = sum_normal / static_cast<double>(width);
    for (std::int64_t i = 0; i < width; ++i) {
      dx.data<T>()[r * width + i] = static_cast<T>(static_cast<double>(rstd.data<T>()[r]) *
                                                   (gained(r, i) - normal(r, i) * average));
    }
  }
  if (!dgain.defined()) {
    return;
  }
  for (std::int64_t i = 0; i < width; ++i) {
    double sum = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      sum += value(dy, r, i) * normal(r, i);
    }
    dgain.data<T>()[i] = static_cast<T>(sum);
  }
}

}  // namespace clausius::ops
