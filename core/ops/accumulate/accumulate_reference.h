// SPDX-License-Identifier: Apache-2.0
// accumulate by its definition.
#pragma once

#include "core/ops/strided.h"
#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void accumulate_reference(const Tensor& part_any, Tensor& total) {
  const Tensor part = part_any.to(dtype_of<T>);
  const detail::StridedRuns<2> runs({&part, &total});
  const auto steps = runs.inner_steps();
  const T* from = part.data<T>();
  T* to = total.data<T>();
  runs.parallel(1 << 14, [&](const auto& at, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      to[at[1] + i * steps[1]] += from[at[0] + i * steps[0]];
    }
  });
}

}  // namespace clausius::ops
