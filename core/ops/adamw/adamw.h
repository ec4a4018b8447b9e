// SPDX-License-Identifier: Apache-2.0
// One AdamW step over the flat parameter buffers, in one pass.
#pragma once

#include <cstdint>

#include "core/kernel_table.h"
#include "core/ops/update_range.h"
#include "core/tensor.h"

namespace clausius::ops {

struct AdamwStep {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  bool decoupled = true;  // false: weight_decay * parameter is added to the gradient (Adam with L2)
  double gradient_scale =
      1.0;                // multiplies the gradient first: 1 / loss weight, times the clip factor
  std::int64_t step = 1;  // number of this step, from 1; sets the bias corrections
};

/// g = gradient_scale * gradient;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
/// master -= lr' decay master + lr' (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps),  lr' = lr * lr_scale
/// Shapes:  gradient, m, v, master [n] dense, f32 (or all f64); compute [n] bf16 or undefined gets the rounded result
/// Value:   [] f64 where master is: the sum of squares of the change (root: the update norm); the same bits for any thread count.
/// Errors:  ShapeError for unequal sizes or a range outside [0, n); DtypeError; ConfigError for step 0.
/// Cost:    memory-bound: 28 bytes an element (30 with compute).
/// Source:  Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
Tensor adamw(const Tensor& gradient,
             Tensor& m,
             Tensor& v,
             Tensor& master,
             Tensor& compute,
             UpdateRanges ranges,
             const AdamwStep& step);

using AdamwKernels = KernelTable<void(const Tensor& gradient,
                                      Tensor& m,
                                      Tensor& v,
                                      Tensor& master,
                                      Tensor& compute,
                                      UpdateRanges ranges,
                                      const AdamwStep& step,
                                      Tensor& change)>;
AdamwKernels& adamw_kernels();

}  // namespace clausius::ops
