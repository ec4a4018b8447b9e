// SPDX-License-Identifier: Apache-2.0
// The definition of entropy_totals.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/tensor.h"

namespace clausius::ops {

template <class T>
void entropy_totals_reference(const Tensor& entropy_BHT,
                              const Tensor& outcomes_BT,
                              const Tensor& max_logit_BH,
                              Tensor& sums_H3,
                              Tensor& max_H) {
  const std::int64_t batch = entropy_BHT.size(0);
  const std::int64_t heads = entropy_BHT.size(1);
  const std::int64_t tokens = entropy_BHT.size(2);
  std::vector<double> log_outcomes;  // -1: none
  for (const std::int32_t count : outcomes_BT.span<std::int32_t>()) {
    log_outcomes.push_back(count > 0 ? std::log(static_cast<double>(count)) : -1.0);
  }
  for (std::int64_t h = 0; h < heads; ++h) {
    double entropy = 0;
    double attainable = 0;
    double rows = 0;
    for (std::int64_t b = 0; b < batch; ++b) {
      const T* row = entropy_BHT.data<T>() + (b * heads + h) * tokens;
      for (std::int64_t t = 0; t < tokens; ++t) {
        const double log_count = log_outcomes[static_cast<std::size_t>(b * tokens + t)];
        if (log_count >= 0) {
          entropy += static_cast<double>(row[t]);
          attainable += log_count;
          rows += 1;
        }
      }
      double& highest = max_H.data<double>()[h];
      highest = std::max(highest, static_cast<double>(max_logit_BH.data<T>()[b * heads + h]));
    }
    double* sums = sums_H3.data<double>() + 3 * h;
    sums[0] += entropy;
    sums[1] += attainable;
    sums[2] += rows;
  }
}

}  // namespace clausius::ops
