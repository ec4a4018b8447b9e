// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of row_squares.
#include "core/ops/row_squares/row_squares.h"

#include "core/error.h"
#include "core/ops/row_squares/row_squares_reference.h"

namespace clausius::ops {

RowSquaresKernels& row_squares_kernels() {
  static RowSquaresKernels table("row_squares", row_squares_reference<double>,
                                 row_squares_reference<float>);
  return table;
}

void row_squares(const Tensor& x_BTM, const Tensor& lengths_B, Tensor& sums) {
  CLS_CHECK(x_BTM.rank() == 3, ShapeError, "[row_squares] x is ", x_BTM.shape(),
            "; expected [B, T, M]");
  CLS_CHECK(sums.shape() == Shape{2} && sums.is_contiguous(), ShapeError, "[row_squares] sums are ",
            sums.shape(), "; expected [2], dense");
  CLS_CHECK(is_floating(x_BTM.dtype()) && sums.dtype() == Dtype::kF64, DtypeError,
            "[row_squares] x is ", x_BTM.dtype(), ", sums are ", sums.dtype(),
            "; expected a floating type and f64");
  Tensor lengths = lengths_B;
  if (!lengths.defined()) {
    lengths = Tensor::full({x_BTM.size(0)}, static_cast<double>(x_BTM.size(1)), Dtype::kI32,
                           x_BTM.device());
  }
  CLS_CHECK(lengths.shape() == Shape{x_BTM.size(0)}, ShapeError, "[row_squares] lengths are ",
            lengths.shape(), "; expected [", x_BTM.size(0), "]");
  CLS_CHECK(lengths.dtype() == Dtype::kI32, DtypeError, "[row_squares] lengths are ",
            lengths.dtype(), "; expected i32");
  if (x_BTM.numel() > 0) {
    row_squares_kernels().run(x_BTM.device(), x_BTM.dtype(), x_BTM.contiguous(),
                              lengths.contiguous(), sums);
  }
}

}  // namespace clausius::ops
