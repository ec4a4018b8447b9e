// SPDX-License-Identifier: Apache-2.0
// The definition of lm_head_cross_entropy: one token at a time, in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy.h"

namespace clausius::ops {

inline double log_sum_exp_reference(const std::vector<double>& logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double logit : logits) {
    sum += std::exp(logit - max);
  }
  return max + std::log(sum);
}

/// The three numbers of LmHeadLoss::lse_sums.
struct LseSums {
  double squares = 0;
  double sum = 0;
  double max = -std::numeric_limits<double>::infinity();

  void add(double lse, double weight) {
    squares += weight * lse * lse;
    sum += lse;
    max = lse > max || lse != lse ? lse : max;  // a NaN comes through
  }
  void write(Tensor& to) const {
    to.data<double>()[0] = squares;
    to.data<double>()[1] = sum;
    to.data<double>()[2] = max;
  }
};

template <class T>
void lm_head_cross_entropy_reference(const Tensor& x_NM,
                                     const Tensor& weight_VM,
                                     const Tensor& targets_N,
                                     const Tensor& token_weights_N,
                                     Tensor& loss_sum,
                                     Tensor& token_loss_N,
                                     Tensor& lse_N,
                                     Tensor& lse_sums,
                                     Tensor& dx_NM,
                                     Tensor& dweight_VM,
                                     const LmHeadOptions& options) {
  const double alpha = options.alpha ? static_cast<double>(*options.alpha.data<T>()) : 1.0;
  const std::int64_t width = x_NM.size(1);
  const std::int64_t vocabulary = weight_VM.size(0);
  const View<const T, 2> x(x_NM);
  const View<const T, 2> weight(weight_VM);
  const View<const std::int32_t, 1> targets(targets_N);
  const View<T, 1> token_loss(token_loss_N);
  const View<T, 1> lse(lse_N);
  Tensor dx_f64 = Tensor::zeros(x_NM.shape(), Dtype::kF64);
  Tensor dweight_f64 = Tensor::zeros(weight_VM.shape(), Dtype::kF64);
  const View<double, 2> dx(dx_f64);
  const View<double, 2> dweight(dweight_f64);
  std::vector<double> logits(static_cast<std::size_t>(vocabulary));
  const double z_weight = options.z_weight ? options.z_weight.data<double>()[0] : 0.0;
  double total = 0;
  LseSums sums;
  for (std::int64_t n = 0; n < x_NM.size(0); ++n) {
    token_loss(n) = T{0};
    lse(n) = T{0};
    if (targets(n) == kIgnoredTarget) {
      continue;
    }
    for (std::int64_t v = 0; v < vocabulary; ++v) {
      double logit = 0;
      for (std::int64_t m = 0; m < width; ++m) {
        logit += static_cast<double>(x(n, m)) * static_cast<double>(weight(v, m));
      }
      logits[static_cast<std::size_t>(v)] = alpha * logit;
    }
    const double log_sum = log_sum_exp_reference(logits);
    const double loss = log_sum - logits[static_cast<std::size_t>(targets(n))];
    const double scale =
        token_weights_N
            ? static_cast<double>(token_weights_N.span<T>()[static_cast<std::size_t>(n)])
            : 1.0;
    token_loss(n) = static_cast<T>(loss);
    lse(n) = static_cast<T>(log_sum);
    total += scale * loss;
    sums.add(log_sum, scale);
    const double slope = 1.0 + 2.0 * z_weight * log_sum;
    for (std::int64_t v = 0; v < vocabulary; ++v) {
      const double probability = std::exp(logits[static_cast<std::size_t>(v)] - log_sum);
      const double dlogit = scale * (slope * probability - (v == targets(n) ? 1.0 : 0.0));
      for (std::int64_t m = 0; m < width; ++m) {
        dx(n, m) += alpha * dlogit * static_cast<double>(weight(v, m));
        dweight(v, m) += dlogit * static_cast<double>(x(n, m));
      }
    }
  }
  loss_sum.fill(total);
  sums.write(lse_sums);
  if (dx_NM) {
    dx_NM.copy_from(dx_f64);
  }
  if (dweight_VM) {
    dweight_VM.copy_from(dweight_f64);
  }
}

}  // namespace clausius::ops
