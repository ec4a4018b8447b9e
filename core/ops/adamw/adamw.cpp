// SPDX-License-Identifier: Apache-2.0
// Checks and dispatch of the AdamW step.
#include "core/ops/adamw/adamw.h"

#include "core/ops/adamw/adamw_reference.h"

namespace clausius::ops {

AdamwKernels& adamw_kernels() {
  static AdamwKernels table("adamw", adamw_reference<double>, adamw_reference<float>);
  return table;
}

Tensor adamw(const Tensor& gradient,
             Tensor& m,
             Tensor& v,
             Tensor& master,
             Tensor& compute,
             UpdateRanges ranges,
             const AdamwStep& step) {
  check_update("adamw", {&gradient, &m, &v}, master, compute, ranges);
  CLS_CHECK(step.step >= 1, ConfigError, "[adamw] step is ", step.step,
            "; expected 1 for the first");
  Tensor change = Tensor::empty({}, Dtype::kF64, master.device());
  adamw_kernels().run(master.device(), master.dtype(), gradient, m, v, master, compute, ranges,
                      step, change);
  return change;
}

}  // namespace clausius::ops
