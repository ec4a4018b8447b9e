// SPDX-License-Identifier: Apache-2.0
// The definition of the AdamW step, in double.
#pragma once

#include <cmath>

#include "core/ops/adamw/adamw.h"

namespace clausius::ops {

template <class T>
void adamw_reference(const Tensor& gradient,
                     Tensor& m,
                     Tensor& v,
                     Tensor& master,
                     Tensor& compute,
                     UpdateRanges ranges,
                     const AdamwStep& step,
                     Tensor& change) {
  const double correction1 = 1.0 - std::pow(step.beta1, static_cast<double>(step.step));
  const double correction2 = 1.0 - std::pow(step.beta2, static_cast<double>(step.step));
  double squares = 0;
  for (const UpdateRange& range : ranges) {
    const double lr = step.lr * range.lr_scale;
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      const double before = master.data<T>()[i];
      double g = step.gradient_scale * static_cast<double>(gradient.data<T>()[i]);
      if (!step.decoupled) {
        g += range.weight_decay * before;
      }
      const double m_new =
          step.beta1 * static_cast<double>(m.data<T>()[i]) + (1.0 - step.beta1) * g;
      const double v_new =
          step.beta2 * static_cast<double>(v.data<T>()[i]) + (1.0 - step.beta2) * g * g;
      const double decay = step.decoupled ? lr * range.weight_decay * before : 0.0;
      const double update =
          lr * (m_new / correction1) / (std::sqrt(v_new / correction2) + step.eps) + decay;
      m.data<T>()[i] = static_cast<T>(m_new);
      v.data<T>()[i] = static_cast<T>(v_new);
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
