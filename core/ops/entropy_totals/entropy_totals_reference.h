// SPDX-License-Identifier: Apache-2.0
// The definition of entropy_totals.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/ops/entropy_totals/entropy_floor.h"
#include "core/ops/entropy_totals/entropy_totals.h"
#include "core/tensor.h"

namespace clausius::ops {

/// What one row adds to the sums of its head; `attainable`: ln of the outcomes. `spread` and `first` may be null.
template <class T>
class RowOfHead {
 public:
  constexpr RowOfHead(T entropy, std::int32_t outcomes, double attainable)
      : entropy_(static_cast<double>(entropy)), outcomes_(outcomes), attainable_(attainable) {}

  template <class Add>
  constexpr void add(const T* spread, const T* first, const Add& to) const {
    to(HeadSum::kEntropy, entropy_);
    to(HeadSum::kAttainable, attainable_);
    to(HeadSum::kRows, 1.0);
    if (spread != nullptr) {
      to(HeadSum::kFloor,
         entropy_floor(static_cast<double>(*spread), static_cast<double>(outcomes_)));
      to(HeadSum::kFloorRows, 1.0);
    }
    if (outcomes_ < 2) {
      return;
    }
    to(HeadSum::kChoosingRows, 1.0);
    to(HeadSum::kLowRows, entropy_ < kLowEntropy ? 1.0 : 0.0);
    if (first != nullptr && !(*first < T(0))) {
      to(HeadSum::kFirstMass, static_cast<double>(*first));
      to(HeadSum::kFirstRows, 1.0);
    }
  }

 private:
  double entropy_;
  std::int32_t outcomes_;
  double attainable_;
};

template <class T>
void entropy_totals_reference(const Tensor& entropy_BHT,
                              const Tensor& outcomes_BT,
                              const Tensor& max_logit_BH,
                              const Tensor& lengths_B,
                              const Tensor& spread_BHT,
                              const Tensor& first_BHT,
                              Tensor& sums_HK,
                              Tensor& max_H) {
  const std::int64_t batch = entropy_BHT.size(0);
  const std::int64_t heads = entropy_BHT.size(1);
  const std::int64_t tokens = entropy_BHT.size(2);
  const T* entropies = entropy_BHT.data<T>();
  const T* spreads = spread_BHT.defined() ? spread_BHT.data<T>() : nullptr;
  const T* firsts = first_BHT.defined() ? first_BHT.data<T>() : nullptr;
  const std::int32_t* outcomes = outcomes_BT.data<std::int32_t>();
  std::vector<double> attainable;  // of each row
  for (std::int64_t row = 0; row < batch * tokens; ++row) {
    attainable.push_back(outcomes[row] > 0 ? std::log(static_cast<double>(outcomes[row])) : 0.0);
  }
  for (std::int64_t h = 0; h < heads; ++h) {
    double sums[kHeadSums] = {};
    const auto add = [&](HeadSum which, double value) {
      sums[static_cast<std::size_t>(which)] += value;
    };
    for (std::int64_t b = 0; b < batch; ++b) {
      const std::int64_t length = lengths_B.defined() ? lengths_B.data<std::int32_t>()[b] : tokens;
      for (std::int64_t t = 0; t < length; ++t) {
        const std::int64_t at = (b * heads + h) * tokens + t;
        const std::int32_t count = outcomes[b * tokens + t];
        if (count > 0) {
          RowOfHead<T>(entropies[at], count, attainable[static_cast<std::size_t>(b * tokens + t)])
              .add(spreads != nullptr ? spreads + at : nullptr,
                   firsts != nullptr ? firsts + at : nullptr, add);
        }
      }
      double& highest = max_H.data<double>()[h];
      highest = std::max(highest, static_cast<double>(max_logit_BH.data<T>()[b * heads + h]));
    }
    for (std::int64_t k = 0; k < kHeadSums; ++k) {
      sums_HK.data<double>()[h * kHeadSums + k] += sums[k];
    }
  }
}

}  // namespace clausius::ops
