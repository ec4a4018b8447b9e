// SPDX-License-Identifier: Apache-2.0
// accumulate: checks and dispatch.
#include "core/ops/accumulate/accumulate.h"

#include "core/ops/accumulate/accumulate_reference.h"

namespace clausius::ops {

AccumulateTable& accumulate_kernels() {
  static AccumulateTable table("accumulate", accumulate_reference<double>,
                               accumulate_reference<float>);
  return table;
}

void accumulate(const Tensor& part, Tensor& total) {
  CLS_CHECK(part.shape() == total.shape(), ShapeError, "accumulate of shape ", part.shape(),
            " into shape ", total.shape());
  CLS_CHECK(is_floating(part.dtype()) && is_floating(total.dtype()), DtypeError, "accumulate of ",
            part.dtype(), " into ", total.dtype(), "; expected floating types");
  if (part.numel() > 0) {
    accumulate_kernels().run(total.device(), total.dtype(),
                             part.dtype() == Dtype::kF64 ? part.to(total.dtype()) : part, total);
  }
}

}  // namespace clausius::ops
