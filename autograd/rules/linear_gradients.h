// SPDX-License-Identifier: Apache-2.0
// The products and the gradients of every rule around x W^T + b.
#pragma once

#include <cstddef>

#include "autograd/rules/row_scales.h"
#include "autograd/tape.h"
#include "core/ops/linear/linear.h"

namespace clausius::detail {

/// fn(first row, row behind the last, alpha, whether it is the first) for each run of the weight's rows.
template <class Fn>
void for_each_scale(const RowScales& scales, std::int64_t rows, const Fn& fn) {
  if (scales.empty()) {
    return fn(std::int64_t{0}, rows, Tensor(), true);
  }
  std::int64_t begin = 0;
  for (const ScaledRows& part : scales) {
    fn(begin, begin + part.rows, part.alpha, begin == 0);
    begin += part.rows;
  }
}

/// y = alpha x W^T + b, each run of rows with its alpha; b may be undefined.
inline Tensor scaled_linear(const Tensor& x,
                            const Tensor& weight_NM,
                            const Tensor& bias_N,
                            const RowScales& scales) {
  Shape shape = x.shape();
  shape[-1] = weight_NM.size(0);
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  for_each_scale(scales, weight_NM.size(0),
                 [&](std::int64_t begin, std::int64_t end, const Tensor& alpha, bool /*first*/) {
                   Tensor part = y.slice(-1, begin, end);
                   ops::linear(x, weight_NM.slice(0, begin, end),
                               bias_N ? bias_N.slice(0, begin, end) : bias_N, part, alpha);
                 });
  return y;
}

/// dx = alpha dy W, dW_hat = dy^T x and db = sum of dy's rows into the inputs 0, 1 and 2 that need them.
inline void give_linear_gradients(Backward& b,
                                  const Tensor& dy,
                                  const Tensor& x,
                                  const Tensor& weight_NM,
                                  const RowScales& scales = {}) {
  if (b.needs(0)) {
    Destination dx = b.destination(0);
    for_each_scale(scales, dy.size(-1),
                   [&](std::int64_t begin, std::int64_t end, const Tensor& alpha, bool first) {
                     ops::linear_input_gradient(dy.slice(-1, begin, end),
                                                weight_NM.slice(0, begin, end), dx.tensor,
                                                dx.accumulate || !first, alpha);
                   });
  }
  if (b.needs(1)) {
    Destination dweight = b.destination(1);
    ops::linear_weight_gradient(dy, x, dweight.tensor, dweight.accumulate);
  }
  if (b.needs(2)) {
    Destination dbias = b.destination(2);
    ops::linear_bias_gradient(dy, dbias.tensor, dbias.accumulate);
  }
}

}  // namespace clausius::detail
