// SPDX-License-Identifier: Apache-2.0
// Layer normalisation by its definition, on dense [R, M] tensors.
#pragma once

#include <cmath>

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void layer_norm_forward_reference(const Tensor& x,
                                  const Tensor& gain,
                                  const Tensor& bias,
                                  Tensor& y,
                                  Tensor& mean,
                                  Tensor& rstd,
                                  double eps) {
  const std::int64_t rows = x.size(0);
  const std::int64_t width = x.size(1);
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* in = x.data<T>() + r * width;
    T* out = y.data<T>() + r * width;
    double sum = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      sum += static_cast<double>(in[i]);
    }
    const double average = sum / static_cast<double>(width);
    double squares = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      const double centred = static_cast<double>(in[i]) - average;
      squares += centred * centred;
    }
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + eps);
    for (std::int64_t i = 0; i < width; ++i) {
      const double normal = (static_cast<double>(in[i]) - average) * scale;
      const double gained =
          gain.defined() ? normal * static_cast<double>(gain.data<T>()[i]) : normal;
      out[i] =
          static_cast<T>(bias.defined() ? gained + static_cast<double>(bias.data<T>()[i]) : gained);
    }
    mean.data<T>()[r] = static_cast<T>(average);
    rstd.data<T>()[r] = static_cast<T>(scale);
  }
}

template <class T>
void layer_norm_backward_reference(const Tensor& dy,
                                   const Tensor& x,
                                   const Tensor& gain,
                                   const Tensor& mean,
                                   const Tensor& rstd,
                                   Tensor& dx,
                                   Tensor& dgain,
                                   Tensor& dbias) {
  const std::int64_t rows = x.size(0);
  const std::int64_t width = x.size(1);
  const auto n = static_cast<double>(width);
  const auto value = [width](const Tensor& tensor, std::int64_t r, std::int64_t i) {
    return static_cast<double>(tensor.data<T>()[r * width + i]);
  };
  const auto normal = [&](std::int64_t r, std::int64_t i) {
    return (value(x, r, i) - static_cast<double>(mean.data<T>()[r])) *
           static_cast<double>(rstd.data<T>()[r]);
  };
  const auto gained = [&](std::int64_t r, std::int64_t i) {
    return gain.defined() ? value(dy, r, i) * static_cast<double>(gain.data<T>()[i])
                          : value(dy, r, i);
  };
  for (std::int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    double sum_normal = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      sum += gained(r, i);
      sum_normal += gained(r, i) * normal(r, i);
    }
    for (std::int64_t i = 0; i < width; ++i) {
      dx.data<T>()[r * width + i] =
          static_cast<T>(static_cast<double>(rstd.data<T>()[r]) *
                         (gained(r, i) - sum / n - normal(r, i) * sum_normal / n));
    }
  }
  for (std::int64_t i = 0; i < width; ++i) {
    double gain_sum = 0;
    double bias_sum = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      gain_sum += value(dy, r, i) * normal(r, i);
      bias_sum += value(dy, r, i);
    }
    if (dgain.defined()) {
      dgain.data<T>()[i] = static_cast<T>(gain_sum);
    }
    if (dbias.defined()) {
      dbias.data<T>()[i] = static_cast<T>(bias_sum);
    }
  }
}

}  // namespace clausius::ops
