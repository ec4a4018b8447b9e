// SPDX-License-Identifier: Apache-2.0
// The softmax pass of lm_head_cross_entropy, compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/lm_head_cross_entropy/lm_head_softmax.cpp"
#include "core/ops/lm_head_cross_entropy/lm_head_softmax.h"

#include <cmath>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/simd/math-inl.h"
#include "core/simd/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

// to = factor * row. `to` may start where the row does: no store reaches elements still to be loaded.
template <class T>
HWY_INLINE void scale_row(const float* row, std::int64_t count, double factor, T* to) {
  const Lane scale(factor);
  for_lanes(count, [=](auto part, std::int64_t i)
                       HWY_ATTR { part.store(part.load(row + i) * scale, to + i); });
}

// Before the factor: the difference is not rounded to bf16 twice.
template <class T>
HWY_INLINE void write_target(T* to, double difference, double factor) {
  *to = T(static_cast<float>(difference) * static_cast<float>(factor));
}

ops::detail::TokenLoss softmax_of_token(float* row,
                                        std::int64_t vocabulary,
                                        std::int32_t target,
                                        float weight,
                                        double z_weight,
                                        ops::detail::RowGradient gradient) {
  const bool keep = gradient != ops::detail::RowGradient::kNone;
  const double max = max_lanes(vocabulary, row);
  const double target_logit = row[target];
  const Lane shift(max);
  const double sum = keep ? sum_lanes(vocabulary,
                                      [=](auto part, std::int64_t i) HWY_ATTR {
                                        const Lane e = exp(part.load(row + i) - shift);
                                        part.store(e, row + i);
                                        return e;
                                      })
                          : sum_lanes(vocabulary, [=](auto part, std::int64_t i) HWY_ATTR {
                              return exp(part.load(row + i) - shift);
                            });
  const double log_sum = std::log(sum);
  const double lse = max + log_sum;
  if (keep) {
    const double slope = 1.0 + 2.0 * z_weight * lse;
    const float at_target = row[target];
    if (gradient == ops::detail::RowGradient::kF32) {
      scale_row(row, vocabulary, weight * slope / sum, row);
      write_target(row + target, at_target * slope - sum, weight / sum);
    } else {
      scale_row(row, vocabulary, weight * slope / sum, reinterpret_cast<bf16*>(row));
      write_target(reinterpret_cast<bf16*>(row) + target, at_target * slope - sum, weight / sum);
    }
  }
  return {.loss = static_cast<float>((max - target_logit) + log_sum),
          .lse = static_cast<float>(lse)};
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
HWY_EXPORT(softmax_of_token);
}  // namespace clausius::simd

namespace clausius::ops::detail {
TokenLoss lm_head_softmax(float* row,
                          std::int64_t vocabulary,
                          std::int32_t target,
                          float weight,
                          double z_weight,
                          RowGradient gradient) {
  using namespace simd;  // NOLINT(google-build-using-namespace): the dispatch table is looked up unqualified
  return HWY_DYNAMIC_DISPATCH(softmax_of_token)(row, vocabulary, target, weight, z_weight,
                                                gradient);
}
}  // namespace clausius::ops::detail
#endif  // HWY_ONCE
