// SPDX-License-Identifier: Apache-2.0
// The definition of attention_probe, one row at a time.
#pragma once

#include <cmath>

#include "core/ops/attention/attention_probe.h"
#include "core/ops/attention/attention_reference.h"

namespace clausius::ops {

/// Norm of the logits of a row, the sink's among them, less their mean.
template <class T>
double spread_of(const AttentionRow<T>& row) {
  std::vector<double> logits = row.logit;
  if (row.sink_logit) {
    logits.push_back(*row.sink_logit);
  }
  double mean = 0;
  for (const double logit : logits) {
    mean += logit / static_cast<double>(logits.size());
  }
  double squares = 0;
  for (const double logit : logits) {
    squares += (logit - mean) * (logit - mean);
  }
  return std::sqrt(squares);
}

template <class T>
void attention_probe_reference(const Tensor& q,
                               const Tensor& k,
                               const Tensor& scale,
                               const Tensor& sink,
                               const Tensor& lse,
                               const Tensor& document_begin,
                               const AttentionProblem& problem,
                               Tensor& spread,
                               Tensor& first) {
  const View<const T, 3> lse_BHT(lse);
  const View<T, 3> first_BHT(first);
  parallel_for(problem.B * problem.H, 1, [&](std::int64_t head, std::int64_t) {
    const std::int64_t b = head / problem.H;
    const std::int64_t h = head % problem.H;
    for (std::int64_t i = 0; i < problem.T; ++i) {
      const AttentionRow<T> row(q, k, scale, sink, problem, b, h, i);
      const std::int32_t begin = document_begin.data<std::int32_t>()[b * problem.T + i];
      const bool sees = row.begin < row.end && row.begin == begin;
      const double log_sum = lse_BHT(b, h, i);
      first_BHT(b, h, i) = static_cast<T>(sees ? std::exp(row.logit.front() - log_sum) : -1.0);
      if (spread.defined()) {
        const View<T, 3> spread_BHT(spread);
        spread_BHT(b, h, i) = static_cast<T>(spread_of(row));
      }
    }
  });
}

}  // namespace clausius::ops
