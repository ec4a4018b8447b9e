// SPDX-License-Identifier: Apache-2.0
// The definition of leaky_relu.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void leaky_relu_forward_reference(const Tensor& x, const Tensor& slope, Tensor& y) {
  const T factor = slope.data<T>()[0];
  const T* in = x.data<T>();
  T* out = y.data<T>();
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    out[i] = in[i] > T{0} ? in[i] : factor * in[i];
  }
}

template <class T>
void leaky_relu_backward_reference(
    const Tensor& dy, const Tensor& x, const Tensor& slope, Tensor& dx, Tensor& dslope) {
  const T factor = slope.data<T>()[0];
  const T* gradient = dy.data<T>();
  const T* in = x.data<T>();
  T* out = dx.data<T>();
  double total = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    out[i] = in[i] > T{0} ? gradient[i] : factor * gradient[i];
    total += in[i] > T{0} ? 0.0 : static_cast<double>(gradient[i]) * static_cast<double>(in[i]);
  }
  if (dslope) {
    dslope.data<double>()[0] = total;
  }
}

}  // namespace clausius::ops
