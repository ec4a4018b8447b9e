// SPDX-License-Identifier: Apache-2.0
// What ops over the rows of a tensor share: the type of statistics and parameters, checks, and the
// rows themselves.
#pragma once

#include <string_view>

#include "core/error.h"
#include "core/tensor.h"

namespace clausius::ops::detail {

/// Type of statistics and parameters for activations of type `dtype`.
[[nodiscard]] inline Dtype wide_dtype(Dtype dtype) {
  return dtype == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32;
}

/// All but the last dimension.
[[nodiscard]] inline Shape leading_shape(const Tensor& x) {
  return Shape(std::span(x.shape().begin(), static_cast<std::size_t>(x.rank() - 1)));
}

/// x as a dense [R, M] tensor.
[[nodiscard]] inline Tensor rows_of(const Tensor& x) {
  const std::int64_t width = x.size(-1);
  std::int64_t rows = 1;
  for (int axis = 0; axis < x.rank() - 1; ++axis) {
    rows *= x.size(axis);
  }
  return x.contiguous().reshape({rows, width});
}

inline void check_activation(std::string_view op, const Tensor& x) {
  CLS_CHECK(is_floating(x.dtype()), DtypeError, op, " of ", x.dtype(),
            "; expected a floating type");
  CLS_CHECK(x.rank() >= 1, ShapeError, op, " of a scalar; expected at least one dimension");
}

inline void check_same(std::string_view op, const Tensor& dy, const Tensor& x) {
  CLS_CHECK(dy.dtype() == x.dtype(), DtypeError, op, ": dy is ", dy.dtype(), " and x is ",
            x.dtype());
  CLS_CHECK(dy.shape() == x.shape(), ShapeError, op, ": dy is ", dy.shape(), " and x is ",
            x.shape());
}

/// A gain or bias over the last dimension; undefined is fine. Returns it dense.
[[nodiscard]] inline Tensor check_parameter(std::string_view op,
                                            std::string_view name,
                                            const Tensor& parameter,
                                            const Tensor& x) {
  if (!parameter.defined()) {
    return parameter;
  }
  CLS_CHECK(parameter.rank() == 1 && parameter.size(0) == x.size(-1), ShapeError, op, ": ", name,
            " is ", parameter.shape(), "; expected (", x.size(-1), ") for x ", x.shape());
  CLS_CHECK(parameter.dtype() == wide_dtype(x.dtype()), DtypeError, op, ": ", name, " is ",
            parameter.dtype(), "; expected ", wide_dtype(x.dtype()), " for x of ", x.dtype());
  return parameter.contiguous();
}

}  // namespace clausius::ops::detail
