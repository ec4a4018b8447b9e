// SPDX-License-Identifier: Apache-2.0
// axpby by its definition.
#pragma once

#include "core/ops/strided.h"
#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void axpby_reference(double alpha, const Tensor& x_any, double beta, Tensor& y) {
  const Tensor x = x_any.to(dtype_of<T>);
  const detail::StridedRuns<2> runs({&x, &y});
  const auto steps = runs.inner_steps();
  const T* from = x.data<T>();
  T* to = y.data<T>();
  runs.parallel(1 << 14, [&](const auto& at, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      T& element = to[at[1] + i * steps[1]];
      const double before = beta == 0.0 ? 0.0 : beta * static_cast<double>(element);
      element = static_cast<T>(alpha * static_cast<double>(from[at[0] + i * steps[0]]) + before);
    }
  });
}

}  // namespace clausius::ops
