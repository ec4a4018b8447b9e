// SPDX-License-Identifier: Apache-2.0
// scale and accumulate by their definition.
#pragma once

#include "core/ops/strided.h"
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

template <class T>
void accumulate_reference(const Tensor& x, Tensor& y, double factor) {
  const detail::StridedRuns<2> runs({&x, &y});
  const auto steps = runs.inner_steps();
  const T* in = x.data<T>();
  T* out = y.data<T>();
  runs.parallel(1 << 14, [&](const auto& at, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      out[at[1] + i * steps[1]] += static_cast<T>(factor) * in[at[0] + i * steps[0]];
    }
  });
}

}  // namespace clausius::ops
