// SPDX-License-Identifier: Apache-2.0
// CPU kernels of entropy_penalty: the definition, heads side by side.
#include "core/checked.h"
#include "core/ops/entropy_penalty/entropy_penalty_reference.h"
#include "core/parallel.h"

namespace clausius::ops {
namespace {

// Heads of which a thread takes at least this many, so that short rows stay on one.
std::int64_t grain_of(const Tensor& entropy_BHT) {
  constexpr std::int64_t kRows = 1 << 14;
  return div_ceil(kRows, entropy_BHT.size(0) * entropy_BHT.size(2));
}

void entropy_penalty_cpu(const Tensor& entropy_BHT,
                         const Tensor& threshold_H,
                         const Tensor& outcomes_BT,
                         const Tensor& positions_BT,
                         Tensor& head_sums_H,
                         Tensor& penalty,
                         const EntropyPenaltyOptions& options) {
  double* sums = head_sums_H.data<double>();
  const std::int64_t heads = entropy_BHT.size(1);
  parallel_for(heads, grain_of(entropy_BHT), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t h = begin; h < end; ++h) {
      sums[h] =
          PenalizedHead<float>(entropy_BHT, threshold_H, outcomes_BT, positions_BT, options, h)
              .squares(entropy_BHT.size(0));
    }
  });
  double total = 0;
  for (std::int64_t h = 0; h < heads; ++h) {
    total += sums[h];
  }
  penalty.fill(options.scale * total);
}

void entropy_penalty_backward_cpu(const Tensor& dy,
                                  const Tensor& entropy_BHT,
                                  const Tensor& threshold_H,
                                  const Tensor& outcomes_BT,
                                  const Tensor& positions_BT,
                                  Tensor& dentropy_BHT,
                                  Tensor& dthreshold_H,
                                  const EntropyPenaltyOptions& options) {
  const double factor = options.scale * static_cast<double>(dy.data<float>()[0]);
  auto* dentropy = dentropy_BHT.data<float>();
  auto* dthreshold = dthreshold_H.data<float>();
  parallel_for(entropy_BHT.size(1), grain_of(entropy_BHT),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t h = begin; h < end; ++h) {
                   const PenalizedHead<float> head(entropy_BHT, threshold_H, outcomes_BT,
                                                   positions_BT, options, h);
                   const double sum = head.gradients(entropy_BHT.size(0), factor, dentropy);
                   dthreshold[h] = static_cast<float>(-options.maximum * sum);
                 }
               });
}

CLS_KERNEL(entropy_penalty, kCpu, kF32, entropy_penalty_cpu);
CLS_KERNEL(entropy_penalty_backward, kCpu, kF32, entropy_penalty_backward_cpu);

}  // namespace
}  // namespace clausius::ops
