// SPDX-License-Identifier: Apache-2.0
// The definition of qk_clip.
#pragma once

#include <cmath>

#include "core/ops/qk_clip/qk_clip.h"
#include "core/parallel.h"

namespace clausius::ops {

template <class T>
void qk_clip_reference(const Tensor& max_H,
                       const QkClipPlan& plan,
                       Tensor& rows_RM,
                       Tensor& rows_copy_RM,
                       Tensor& clips_H) {
  const double* const max = max_H.data<double>();
  const std::int64_t width = rows_RM.size(1);
  parallel_for(rows_RM.size(0), 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t row = plan.first_row + r;
      const double factor =
          detail::qk_clip_factor(plan, max, row, [](double x, double y) { return std::pow(x, y); });
      const std::int64_t head = row / plan.head_dim;
      if (clips_H && row % plan.head_dim == 0 && head < plan.query_heads &&
          detail::qk_clip_gamma(max[head], plan.threshold) < 1.0) {
        clips_H.data<double>()[head] += 1.0;
      }
      if (factor == 1.0) {
        continue;
      }
      T* const values = rows_RM.data<T>() + r * width;
      for (std::int64_t i = 0; i < width; ++i) {
        values[i] *= static_cast<T>(factor);
      }
      for (std::int64_t i = 0; i < width && rows_copy_RM; ++i) {
        rows_copy_RM.data<bf16>()[r * width + i] = bf16(static_cast<float>(values[i]));
      }
    }
  });
}

}  // namespace clausius::ops
