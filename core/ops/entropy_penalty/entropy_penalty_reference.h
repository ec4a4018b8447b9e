// SPDX-License-Identifier: Apache-2.0
// The definition of entropy_penalty, head by head.
#pragma once

#include <cmath>

#include "core/ops/entropy_penalty/entropy_penalty.h"

namespace clausius::ops {

/// One head's rows, as both directions read them.
template <class T>
class PenalizedHead {
 public:
  PenalizedHead(const Tensor& entropy_BHT,
                const Tensor& threshold_H,
                const Tensor& outcomes_BT,
                const Tensor& positions_BT,
                const EntropyPenaltyOptions& options,
                std::int64_t head)
      : entropy_(entropy_BHT.data<T>()),
        outcomes_(outcomes_BT.data<std::int32_t>()),
        positions_(positions_BT ? positions_BT.data<std::int32_t>() : nullptr),
        heads_(entropy_BHT.size(1)),
        tokens_(entropy_BHT.size(2)),
        head_(head),
        center_(static_cast<double>(threshold_H.data<T>()[head]) * options.maximum),
        options_(options) {}

  [[nodiscard]] std::int64_t at(std::int64_t b, std::int64_t t) const {
    return (b * heads_ + head_) * tokens_ + t;
  }
  [[nodiscard]] bool counts(std::int64_t b, std::int64_t t) const {
    const std::int64_t row = b * tokens_ + t;
    return outcomes_[row] > 0 && (options_.skip_rows == 0 || positions_[row] >= options_.skip_rows);
  }
  /// 0 within the tolerance. The comparison lets a NaN through.
  [[nodiscard]] double deviation(double entropy) const {
    const double d = entropy - center_;
    return std::abs(d) <= options_.tolerance * options_.maximum ? 0.0 : d;
  }
  [[nodiscard]] double row_deviation(std::int64_t b, std::int64_t t) const {
    return deviation(static_cast<double>(entropy_[at(b, t)]));
  }
  struct Mean {
    double deviation = 0;
    double rows = 0;
  };
  [[nodiscard]] Mean mean_deviation(std::int64_t b) const {
    double sum = 0;
    double rows = 0;
    for (std::int64_t t = 0; t < tokens_; ++t) {
      if (counts(b, t)) {
        sum += static_cast<double>(entropy_[at(b, t)]);
        rows += 1;
      }
    }
    return rows > 0 ? Mean{deviation(sum / rows), rows} : Mean{};
  }

  /// Sum of the squared deviations of samples 0 .. batch - 1.
  [[nodiscard]] double squares(std::int64_t batch) const {
    double sum = 0;
    for (std::int64_t b = 0; b < batch; ++b) {
      if (options_.of_means) {
        const double d = mean_deviation(b).deviation;
        sum += d * d;
        continue;
      }
      for (std::int64_t t = 0; t < tokens_; ++t) {
        const double d = counts(b, t) ? row_deviation(b, t) : 0.0;
        sum += d * d;
      }
    }
    return sum;
  }

  /// Writes 2 * factor * deviation for every row and returns the sum of what it stands for.
  double gradients(std::int64_t batch, double factor, T* dentropy) const {
    double sum = 0;
    for (std::int64_t b = 0; b < batch; ++b) {
      const Mean mean = options_.of_means ? mean_deviation(b) : Mean{};
      for (std::int64_t t = 0; t < tokens_; ++t) {
        const double d = !counts(b, t)       ? 0.0
                         : options_.of_means ? mean.deviation / mean.rows
                                             : row_deviation(b, t);
        dentropy[at(b, t)] = static_cast<T>(2.0 * factor * d);
        sum += 2.0 * factor * d;
      }
    }
    return sum;
  }

 private:
  const T* entropy_;
  const std::int32_t* outcomes_;
  const std::int32_t* positions_;
  std::int64_t heads_;
  std::int64_t tokens_;
  std::int64_t head_;
  double center_;
  const EntropyPenaltyOptions& options_;
};

template <class T>
void entropy_penalty_reference(const Tensor& entropy_BHT,
                               const Tensor& threshold_H,
                               const Tensor& outcomes_BT,
                               const Tensor& positions_BT,
                               Tensor& head_sums_H,
                               Tensor& penalty,
                               const EntropyPenaltyOptions& options) {
  double total = 0;
  for (std::int64_t h = 0; h < entropy_BHT.size(1); ++h) {
    const PenalizedHead<T> head(entropy_BHT, threshold_H, outcomes_BT, positions_BT, options, h);
    head_sums_H.data<double>()[h] = head.squares(entropy_BHT.size(0));
    total += head_sums_H.data<double>()[h];
  }
  penalty.fill(options.scale * total);
}

template <class T>
void entropy_penalty_backward_reference(const Tensor& dy,
                                        const Tensor& entropy_BHT,
                                        const Tensor& threshold_H,
                                        const Tensor& outcomes_BT,
                                        const Tensor& positions_BT,
                                        Tensor& dentropy_BHT,
                                        Tensor& dthreshold_H,
                                        const EntropyPenaltyOptions& options) {
  const double factor = options.scale * static_cast<double>(dy.data<T>()[0]);
  for (std::int64_t h = 0; h < entropy_BHT.size(1); ++h) {
    const PenalizedHead<T> head(entropy_BHT, threshold_H, outcomes_BT, positions_BT, options, h);
    const double sum = head.gradients(entropy_BHT.size(0), factor, dentropy_BHT.data<T>());
    dthreshold_H.data<T>()[h] = static_cast<T>(-options.maximum * sum);
  }
}

}  // namespace clausius::ops
