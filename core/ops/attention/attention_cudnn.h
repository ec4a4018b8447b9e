// SPDX-License-Identifier: Apache-2.0
// cuDNN's attention as the other engine of the op: what it can do, and the seam that its part of the build fills in.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "core/ops/attention/attention.h"
#include "core/tensor.h"

namespace clausius::ops {

/// Checked arguments. Row i sees keys [0, i] where causal, else all.
struct CudnnAttentionProblem {
  std::int64_t B = 0, H = 0, G = 0, T = 0, S = 0, D = 0, E = 0;
  double scale = 1.0;
  bool causal = true;
  auto operator<=>(const CudnnAttentionProblem&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// Filled in before main by core/cuda/cudnn_attention.cpp; null where the build has no CUDA or no cuDNN.
struct CudnnAttention {
  /// Why it cannot run here; empty where it can.
  std::string (*missing)() = nullptr;
  /// Arguments: q, k, v; y, lse.
  void (*forward)(const Tensor&,
                  const Tensor&,
                  const Tensor&,
                  const CudnnAttentionProblem&,
                  Tensor&,
                  Tensor&) = nullptr;
  /// Arguments: dy, q, k, v, y, lse; dq, dk, dv.
  void (*backward)(const Tensor&,
                   const Tensor&,
                   const Tensor&,
                   const Tensor&,
                   const Tensor&,
                   const Tensor&,
                   const CudnnAttentionProblem&,
                   Tensor&,
                   Tensor&,
                   Tensor&) = nullptr;
};
CudnnAttention& cudnn_attention();

/// Why AttentionEngine::kCudnn cannot run in this process; empty where it can.
[[nodiscard]] std::string cudnn_attention_missing();

/// True for head sizes that it takes.
[[nodiscard]] constexpr bool cudnn_attention_takes(std::int64_t head_size) {
  return head_size % 8 == 0 && head_size <= 128;
}

/// Arguments whose shapes agree.
/// Errors: ConfigError naming the option that cuDNN's attention has not, or what is missing.
[[nodiscard]] CudnnAttentionProblem cudnn_attention_problem(const Tensor& q_BHTD,
                                                            const Tensor& k_BGSD,
                                                            const Tensor& v_BGSE,
                                                            const Tensor& scale,
                                                            const Tensor& sink,
                                                            const AttentionOptions& options);

}  // namespace clausius::ops
