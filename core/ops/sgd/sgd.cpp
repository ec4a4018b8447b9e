// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of the SGD step.
#include "core/ops/sgd/sgd.h"

#include "core/ops/sgd/sgd_reference.h"

namespace clausius::ops {

SgdKernels& sgd_kernels() {
  static SgdKernels table("sgd", sgd_reference<double>, sgd_reference<float>);
  return table;
}

Tensor sgd(const Tensor& gradient,
           Tensor& velocity,
           Tensor& master,
           Tensor& compute,
           UpdateRanges ranges,
           const SgdStep& step) {
  CLS_CHECK(velocity || step.momentum == 0.0, ConfigError, "[sgd] momentum is ", step.momentum,
            " but there is no velocity buffer");
  check_update("sgd", {&gradient, velocity ? &velocity : &gradient}, master, compute, ranges);
  Tensor change = Tensor::empty({}, Dtype::kF64, master.device());
  sgd_kernels().run(master.device(), master.dtype(), gradient, velocity, master, compute, ranges,
                    step, change);
  return change;
}

}  // namespace clausius::ops
