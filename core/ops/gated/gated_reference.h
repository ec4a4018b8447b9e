// SPDX-License-Identifier: Apache-2.0
// Gated units by their definition: the pointwise ops' structs in the scalar meaning, times the
// value half.
#pragma once

#include "core/ops/gated/gated.h"
#include "core/simd/scalar.h"

namespace clausius::simd::scalar_gates {
#define CLS_POINTWISE(name, Struct)
#include "core/ops/pointwise/gelu.h"
#include "core/ops/pointwise/relu.h"
#include "core/ops/pointwise/sigmoid.h"
#include "core/ops/pointwise/silu.h"
#undef CLS_POINTWISE
}  // namespace clausius::simd::scalar_gates

namespace clausius::ops {

template <class T>
T gate_value(Gate gate, T x) {
  switch (gate) {
    case Gate::kSilu:
      return simd::scalar_gates::Silu::forward(x);
    case Gate::kGelu:
      return simd::scalar_gates::Gelu::forward(x);
    case Gate::kIdentity:
      return x;
    case Gate::kSigmoid:
      return simd::scalar_gates::Sigmoid::forward(x);
    case Gate::kRelu:
      return simd::scalar_gates::Relu::forward(x);
  }
  return x;
}

template <class T>
T gate_derivative(Gate gate, T x) {
  switch (gate) {
    case Gate::kSilu:
      return simd::scalar_gates::Silu::derivative(x);
    case Gate::kGelu:
      return simd::scalar_gates::Gelu::derivative(x);
    case Gate::kIdentity:
      return T(1);
    case Gate::kSigmoid:
      return simd::scalar_gates::Sigmoid::derivative(x);
    case Gate::kRelu:
      return simd::scalar_gates::Relu::derivative(x);
  }
  return x;
}

template <class T>
void gated_forward_reference(const Tensor& x, Tensor& y, Gate gate) {
  const std::int64_t width = y.size(1);
  for (std::int64_t r = 0; r < y.size(0); ++r) {
    const T* in = x.data<T>() + r * 2 * width;
    for (std::int64_t i = 0; i < width; ++i) {
      y.data<T>()[r * width + i] = gate_value(gate, in[i]) * in[width + i];
    }
  }
}

template <class T>
void gated_backward_reference(const Tensor& dy, const Tensor& x, Tensor& dx, Gate gate) {
  const std::int64_t width = dy.size(1);
  for (std::int64_t r = 0; r < dy.size(0); ++r) {
    const T* in = x.data<T>() + r * 2 * width;
    T* out = dx.data<T>() + r * 2 * width;
    for (std::int64_t i = 0; i < width; ++i) {
      const T gradient = dy.data<T>()[r * width + i];
      out[i] = gradient * in[width + i] * gate_derivative(gate, in[i]);
      out[width + i] = gradient * gate_value(gate, in[i]);
    }
  }
}

}  // namespace clausius::ops
