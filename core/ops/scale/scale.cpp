// SPDX-License-Identifier: Apache-2.0
// scale and accumulate: checks, allocation, dispatch.
#include "core/ops/scale/scale.h"

#include "core/ops/scale/scale_reference.h"

namespace clausius::ops {

ScaleTable& scale_kernels() {
  static ScaleTable table("scale", scale_reference<double>, scale_reference<float>);
  return table;
}

AccumulateTable& accumulate_kernels() {
  static AccumulateTable table("accumulate", accumulate_reference<double>,
                               accumulate_reference<float>);
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

void accumulate(Tensor& y, const Tensor& x, double factor) {
  CLS_CHECK(is_floating(x.dtype()) &&
                (x.dtype() == y.dtype() || (x.dtype() == Dtype::kBf16 && y.dtype() == Dtype::kF32)),
            DtypeError, "accumulate of ", x.dtype(), " into ", y.dtype(),
            "; expected equal types, or bf16 into f32");
  CLS_CHECK(x.shape() == y.shape(), ShapeError, "accumulate of ", x.shape(), " into ", y.shape());
  if (x.numel() > 0) {
    accumulate_kernels().run(x.device(), x.dtype(), x, y, factor);
  }
}

}  // namespace clausius::ops
