// SPDX-License-Identifier: Apache-2.0
// The definition of the SGD step, in double.
#pragma once

#include "core/ops/sgd/sgd.h"

namespace clausius::ops {

template <class T>
void sgd_reference(const Tensor& gradient,
                   Tensor& velocity,
                   Tensor& master,
                   Tensor& compute,
                   UpdateRanges ranges,
                   const SgdStep& step,
                   Tensor& change) {
  double squares = 0;
  for (const UpdateRange& range : ranges) {
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      const double before = master.data<T>()[i];
      const double g = step.gradient_scale * static_cast<double>(gradient.data<T>()[i]) +
                       range.weight_decay * before;
      double direction = g;
      if (step.momentum != 0.0) {
        const double velocity_new = step.momentum * static_cast<double>(velocity.data<T>()[i]) + g;
        velocity.data<T>()[i] = static_cast<T>(velocity_new);
        direction = step.nesterov ? g + step.momentum * velocity_new : velocity_new;
      }
      const double update = step.lr * range.lr_scale * direction;
      master.data<T>()[i] = static_cast<T>(before - update);
      squares += update * update;
    }
    if (compute) {
      compute.slice(0, range.begin, range.end).copy_from(master.slice(0, range.begin, range.end));
    }
  }
  change.data<double>()[0] = squares;
}

}  // namespace clausius::ops
