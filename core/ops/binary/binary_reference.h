// SPDX-License-Identifier: Apache-2.0
// Binary arithmetic by its definition.
#pragma once

#include "core/ops/binary/binary.h"
#include "core/ops/strided.h"

namespace clausius::ops {

template <class T>
T apply(BinaryOp op, T a, T b) {
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSub:
      return a - b;
    case BinaryOp::kMul:
      return a * b;
    case BinaryOp::kDiv:
      return a / b;
  }
  return a;
}

template <class T>
void binary_reference(const Tensor& a_any, const Tensor& b_any, Tensor& y, BinaryOp op) {
  const Tensor a = a_any.to(dtype_of<T>);
  const Tensor b = b_any.to(dtype_of<T>);
  const detail::StridedRuns<3> runs({&a, &b, &y});
  const auto [step_a, step_b, step_y] = runs.inner_steps();
  const T* from_a = a.data<T>();
  const T* from_b = b.data<T>();
  T* to = y.data<T>();
  runs.parallel(1 << 14, [&, step_a = step_a, step_b = step_b, step_y = step_y](
                             const auto& at, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      to[at[2] + i * step_y] = apply(op, from_a[at[0] + i * step_a], from_b[at[1] + i * step_b]);
    }
  });
}

}  // namespace clausius::ops
