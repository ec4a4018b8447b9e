// SPDX-License-Identifier: Apache-2.0
// Softmax by its definition, along the rows of dense [R, N] tensors.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void softmax_forward_reference(const Tensor& x, Tensor& y) {
  const std::int64_t width = x.size(1);
  for (std::int64_t r = 0; r < x.size(0); ++r) {
    const T* in = x.data<T>() + r * width;
    T* out = y.data<T>() + r * width;
    T largest = -std::numeric_limits<T>::infinity();
    for (std::int64_t i = 0; i < width; ++i) {
      largest = std::isnan(in[i]) ? in[i] : std::max(largest, in[i]);
      if (std::isnan(largest)) {
        break;
      }
    }
    if (largest == -std::numeric_limits<T>::infinity()) {
      std::fill(out, out + width, T(0));
      continue;
    }
    double sum = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      sum += std::exp(static_cast<double>(in[i] - largest));
    }
    for (std::int64_t i = 0; i < width; ++i) {
      out[i] = static_cast<T>(std::exp(static_cast<double>(in[i] - largest)) / sum);
    }
  }
}

template <class T>
void softmax_backward_reference(const Tensor& dy, const Tensor& y, Tensor& dx) {
  const std::int64_t width = y.size(1);
  for (std::int64_t r = 0; r < y.size(0); ++r) {
    const T* gradient = dy.data<T>() + r * width;
    const T* probability = y.data<T>() + r * width;
    double sum = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      sum += static_cast<double>(gradient[i]) * static_cast<double>(probability[i]);
    }
    for (std::int64_t i = 0; i < width; ++i) {
      dx.data<T>()[r * width + i] = static_cast<T>(static_cast<double>(probability[i]) *
                                                   (static_cast<double>(gradient[i]) - sum));
    }
  }
}

}  // namespace clausius::ops
