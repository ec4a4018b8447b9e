// SPDX-License-Identifier: Apache-2.0
// Softmax attention that also returns the exact entropy of every row, with the exact gradient of
// both.
//
// Legend: B batch, H query heads, G key/value heads (G divides H; head h reads key head h / (H /
// G)), T queries, S keys,
//         D head size of q and k, E head size of v.
#pragma once

#include <cstdint>
#include <optional>

#include "core/kernel_table.h"
#include "core/ops/attention/attention_mask.h"
#include "core/random.h"
#include "core/tensor.h"

namespace clausius::ops {

/// Whose kernels compute. kCudnn: bf16 on a CUDA device, causal or full masks, one scale; its results have neither entropy nor
/// max_logit (undefined), no gradient comes in at lse, and its gradient takes 2 B H T S bytes more: what repeating its bits costs it.
enum class AttentionEngine { kOwn, kCudnn };

struct AttentionOptions {
  AttentionMask mask;
  /// Multiplies q k^T. Unset: D^-1/2.
  std::optional<double> scale;
  /// s' = cap tanh(s / cap) goes into the softmax instead of s.
  std::optional<double> logit_softcap;
  /// Share of the probabilities set to zero (the others grow by 1 / (1 - dropout)), after the
  /// entropy is taken. Row (b, h, i) and key j draw word j % 4 of block (h T + i) ceil(S / 4) + j /
  /// 4 of `dropout_stream` with sample = dropout_samples[b], and drop where word < dropout 2^32:
  /// nothing depends on threads, ranks or how a batch is split.
  double dropout = 0.0;
  RandomStream dropout_stream;
  /// i64 [B]: global sample numbers, in any memory. Required with dropout.
  Tensor dropout_samples;
  AttentionEngine engine = AttentionEngine::kOwn;
};

/// Statistics are f64 for f64 inputs, else f32. A row that sees no key and has no sink: y = 0,
/// entropy = 0, lse = -inf.
struct AttentionResult {
  Tensor y_BTHE;        // dense, so that [B T, H E] is a view; the inputs' element type
  Tensor entropy_BHT;   // nats; 0 <= H <= ln n, n visible keys (n + 1 with a sink)
  Tensor lse_BHT;       // ln of the sum of exp s' over the visible keys and the sink
  Tensor max_logit_BH;  // largest visible s (before the soft-cap, without the sink); -inf where no
                        // key is visible
};

/// Each one in the shape of its input; dscale and dsink are undefined where the input is.
struct AttentionGradients {
  Tensor dq_BHTD;
  Tensor dk_BGSD;
  Tensor dv_BGSE;
  Tensor dscale;
  Tensor dsink;
};

/// y = softmax(s') v over the visible keys, s = scale q k^T, and the statistics of s'.
/// Shapes:  q_BHTD, k_BGSD, v_BGSE -> see AttentionResult. Any strides with dense last dimension
/// (views of one fused projection).
///          `scale`: undefined, [H] or [H, T], multiplies options.scale. `sink`: undefined or [H],
///          a logit with value 0 that joins every row (entropy and lse include it). Both in the
///          statistics' type.
/// Value:   H = lse - sum p s', by the shifted recurrence, so it does not cancel. f32 scores and
/// statistics; bf16 inputs: p is
///          rounded to bf16 for p v. With logits of magnitude L: |H - exact| <= 1e-5 H + 1e-6 + 8
///          2^-24 L (1 + ln n) for f32.
/// Errors:  ShapeError, DtypeError; ConfigError for options out of range, and naming what engine
///          cudnn cannot honour; UnsupportedError for a block list.
/// Cost:    4 B H T S D flop, half of it when causal; O(T + S) memory; the entropy is one fused
///          multiply-add a score.
[[nodiscard]] AttentionResult attention(const Tensor& q_BHTD,
                                        const Tensor& k_BGSD,
                                        const Tensor& v_BGSE,
                                        const Tensor& scale,
                                        const Tensor& sink,
                                        const AttentionOptions& options);

/// Gradients of <y, dy> + <entropy, dentropy> + <lse, dlse> (max_logit is a report, it has none).
/// Shapes:  dy_BTHE, dentropy_BHT, dlse_BHT: each may be undefined (zero); dy with dense last
/// dimension.
///          `result` and `options` are those of the forward call.
///          `into`: gradients to write, strided views with dense last dimension allowed (parts of a
///          fused buffer); undefined members are allocated, dense with T and S outside the heads
///          ([B, T, H, D] memory).
/// Value:   p = exp(s' - lse) is recomputed;
///          ds' = p (dy v - <dy, y> + dlse) - dentropy p (ln p + H). Every element is written. Bits
///          do not depend on the threads.
/// Cost:    2.5 times the forward; O(T + S) memory.
[[nodiscard]] AttentionGradients attention_backward(const Tensor& dy_BTHE,
                                                    const Tensor& dentropy_BHT,
                                                    const Tensor& dlse_BHT,
                                                    const Tensor& q_BHTD,
                                                    const Tensor& k_BGSD,
                                                    const Tensor& v_BGSE,
                                                    const Tensor& scale,
                                                    const Tensor& sink,
                                                    const AttentionResult& result,
                                                    const AttentionOptions& options,
                                                    AttentionGradients into = {});

/// What every kernel gets: checked arguments, in the form kernels use.
struct AttentionProblem {
  std::int64_t B = 0, H = 0, G = 0, T = 0, S = 0, D = 0, E = 0;
  double scale = 1.0;    // options.scale, resolved
  double softcap = 0.0;  // 0: none
  double dropout = 0.0;
  RandomStream dropout_stream;
  // In the memory of the tensors' device.
  const std::int64_t* dropout_samples = nullptr;  // [B]
  const std::int32_t* begin_BT = nullptr;         // row (b, i) sees keys [begin, end)
  const std::int32_t* end_BT = nullptr;

  [[nodiscard]] std::int64_t heads_per_group() const { return G > 0 ? H / G : 0; }
};

/// Arguments: q, k, v, scale, sink, problem; y, entropy, lse, max_logit.
using AttentionForward = void(const Tensor&,
                              const Tensor&,
                              const Tensor&,
                              const Tensor&,
                              const Tensor&,
                              const AttentionProblem&,
                              Tensor&,
                              Tensor&,
                              Tensor&,
                              Tensor&);
/// Arguments: dy, dentropy, dlse, q, k, v, scale, sink, y, entropy, lse, problem; dq, dk, dv,
/// dscale, dsink.
using AttentionBackward = void(const Tensor&,
                               const Tensor&,
                               const Tensor&,
                               const Tensor&,
                               const Tensor&,
                               const Tensor&,
                               const Tensor&,
                               const Tensor&,
                               const Tensor&,
                               const Tensor&,
                               const Tensor&,
                               const AttentionProblem&,
                               Tensor&,
                               Tensor&,
                               Tensor&,
                               Tensor&,
                               Tensor&);
KernelTable<AttentionForward>& attention_forward_kernels();
KernelTable<AttentionBackward>& attention_backward_kernels();

}  // namespace clausius::ops
