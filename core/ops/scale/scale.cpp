// SPDX-License-Identifier: Apache-2.0
// scale: checks, allocation, dispatch.
#include "core/ops/scale/scale.h"

#include "core/ops/scale/scale_reference.h"

namespace clausius::ops {

ScaleTable& scale_kernels() {
  static ScaleTable table("scale", scale_reference<double>, scale_reference<float>);
  return table;
}

Tensor scale(const Tensor& x, double factor) {
  CLS_CHECK(is_floating(x.dtype()), DtypeError, "scale of ", x.dtype(),
            "; expected a floating type");
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  if (x.numel() > 0) {
    scale_kernels().run(x.device(), x.dtype(), x.contiguous(), y, factor);
  }
  return y;
}

}  // namespace clausius::ops
