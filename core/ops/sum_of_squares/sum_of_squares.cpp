// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of sum_of_squares.
#include "core/ops/sum_of_squares/sum_of_squares.h"

#include "core/ops/sum_of_squares/sum_of_squares_reference.h"

namespace clausius::ops {

SumOfSquaresKernels& sum_of_squares_kernels() {
  static SumOfSquaresKernels table("sum_of_squares", sum_of_squares_reference<double>,
                                   sum_of_squares_reference<float>);
  return table;
}

Tensor sum_of_squares(const Tensor& x) {
  CLS_CHECK(is_floating(x.dtype()), DtypeError, "[sum_of_squares] x is ", x.dtype(),
            "; expected a floating type");
  CLS_CHECK(x.is_contiguous(), ShapeError, "[sum_of_squares] x has strides ", x.strides(),
            "; expected dense memory");
  if (x.numel() == 0) {
    return Tensor::zeros({}, Dtype::kF64, x.device());
  }
  Tensor sum = Tensor::empty({}, Dtype::kF64, x.device());
  sum_of_squares_kernels().run(x.device(), x.dtype(), x.reshape({x.numel()}), sum);
  return sum;
}

}  // namespace clausius::ops
