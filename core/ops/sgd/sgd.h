// SPDX-License-Identifier: Apache-2.0
// One SGD step with momentum over the flat parameter buffers, in one pass.
#pragma once

#include <cstdint>

#include "core/kernel_table.h"
#include "core/ops/update_range.h"
#include "core/tensor.h"

namespace clausius::ops {

struct SgdStep {
  double lr = 1e-2;
  double momentum = 0.9;
  bool nesterov = false;
  double gradient_scale =
      1.0;  // multiplies the gradient first: 1 / loss weight, times the clip factor
};

/// g = gradient_scale * gradient + weight_decay * master;  velocity = momentum * velocity + g
/// master -= lr * lr_scale * (nesterov ? g + momentum * velocity : velocity)
/// Shapes:  gradient, velocity, master [n] dense, f32 (or all f64); compute [n] bf16 or undefined gets the result
///          rounded. With momentum 0 velocity may be undefined.
/// Value:   [] f64 where master is: the sum of squares of the change; the same bits for any thread count.
/// Errors:  ShapeError for unequal sizes or a range outside [0, n); DtypeError; ConfigError: momentum without velocity.
/// Cost:    memory-bound: 20 bytes an element (12 without momentum), 2 more with compute.
Tensor sgd(const Tensor& gradient,
           Tensor& velocity,
           Tensor& master,
           Tensor& compute,
           UpdateRanges ranges,
           const SgdStep& step);

using SgdKernels = KernelTable<void(const Tensor& gradient,
                                    Tensor& velocity,
                                    Tensor& master,
                                    Tensor& compute,
                                    UpdateRanges ranges,
                                    const SgdStep& step,
                                    Tensor& change)>;
SgdKernels& sgd_kernels();

}  // namespace clausius::ops
