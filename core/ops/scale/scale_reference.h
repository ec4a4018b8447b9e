// SPDX-License-Identifier: Apache-2.0
// scale by its definition.
#pragma once

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void scale_reference(const Tensor& x, Tensor& y, double factor) {
  const T* in = x.data<T>();
  T* out = y.data<T>();
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    out[i] = static_cast<T>(factor) * in[i];
  }
}

}  // namespace clausius::ops
