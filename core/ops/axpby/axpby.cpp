// SPDX-License-Identifier: Apache-2.0
// axpby: checks and dispatch.
#include "core/ops/axpby/axpby.h"

#include "core/ops/axpby/axpby_reference.h"

namespace clausius::ops {

AxpbyTable& axpby_kernels() {
  static AxpbyTable table("axpby", axpby_reference<double>, axpby_reference<float>);
  return table;
}

void axpby(double alpha, const Tensor& x, double beta, Tensor& y) {
  CLS_CHECK(x.shape() == y.shape(), ShapeError, "[axpby] x is ", x.shape(), ", y is ", y.shape(),
            "; expected one shape");
  CLS_CHECK(is_floating(x.dtype()) && is_floating(y.dtype()), DtypeError, "[axpby] x is ",
            x.dtype(), ", y is ", y.dtype(), "; expected floating types");
  if (y.numel() > 0) {
    axpby_kernels().run(y.device(), y.dtype(), alpha,
                        x.dtype() == Dtype::kF64 ? x.to(y.dtype()) : x, beta, y);
  }
}

}  // namespace clausius::ops
