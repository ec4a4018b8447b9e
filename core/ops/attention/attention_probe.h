// SPDX-License-Identifier: Apache-2.0
// What a monitor wants to know of attention rows beyond their entropy: for observed steps, beside the kernels that train.
//
// Legend: B batch, H query heads, G key heads, T queries, S keys, D head size.
#pragma once

#include "core/ops/attention/attention.h"

namespace clausius::ops {

/// In the statistics' type.
struct AttentionProbe {
  /// Norm of the row's logits s' (after the soft-cap, the sink's among them) less their mean; 0 where the row sees nothing. What
  /// entropy_floor() takes. Undefined unless asked for.
  Tensor spread_BHT;
  /// Probability of the first token of the row's document; -1 where the row does not see it.
  Tensor first_BHT;
};

/// Shapes:  as attention; `lse_BHT` of that call.
/// Value:   sums of a row in f32 around the logit that uniform rows have, lse - ln n: the relative error of the spread is about
///          2^-24 n (1 + max|s'|) at worst.
/// Errors:  as attention; UnsupportedError for engine cudnn.
/// Cost:    first: a dot product a row. spread: 2 B H T S D flop, half of it when causal: about half of attention's forward.
[[nodiscard]] AttentionProbe attention_probe(const Tensor& q_BHTD,
                                             const Tensor& k_BGSD,
                                             const Tensor& scale,
                                             const Tensor& sink,
                                             const Tensor& lse_BHT,
                                             const AttentionOptions& options,
                                             bool spread);

/// Arguments: q, k, scale, sink, lse, first key of each row's document [B, T], problem; spread (may be undefined), first. The results
/// are dense.
using AttentionProbeKernels = KernelTable<void(const Tensor&,
                                               const Tensor&,
                                               const Tensor&,
                                               const Tensor&,
                                               const Tensor&,
                                               const Tensor&,
                                               const AttentionProblem&,
                                               Tensor&,
                                               Tensor&)>;
AttentionProbeKernels& attention_probe_kernels();

}  // namespace clausius::ops
