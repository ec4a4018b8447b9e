// SPDX-License-Identifier: Apache-2.0
// The LM head and its cross entropy in one op that never holds tokens x vocabulary.
#pragma once

#include "core/kernel_table.h"
#include "core/targets.h"
#include "core/tensor.h"

namespace clausius::ops {

inline constexpr std::int64_t kLmHeadChunkBytes = std::int64_t{64} << 20;

struct LmHeadOptions {
  bool dx = false;  // make the gradient of x
  bool dweight = false;
  std::int64_t chunk_bytes = kLmHeadChunkBytes;  // of f32 logits held at a time
  /// [], f64, where x is: the gradients are those of loss_sum + z_weight z_sum. Undefined: 0.
  Tensor z_weight{};
  Tensor alpha{};  // multiplies the logits, see ops::linear
};

/// chunk_bytes that suits a device. On the CPU a chunk of logits is to stay near the caches; on a CUDA device every chunk also
/// reads and writes dweight once, which small chunks would spend their time on.
[[nodiscard]] constexpr std::int64_t lm_head_chunk_bytes(DeviceKind device) {
  return device == DeviceKind::kCpu ? kLmHeadChunkBytes : std::int64_t{512} << 20;
}

struct LmHeadLoss {
  Tensor loss_sum;  // [], f64
  Tensor token_loss_N;
  Tensor lse_N;
  Tensor
      lse_sums;  // [3], f64: z_sum; the sum of lse; the largest lse, -infinity where no token counts
  Tensor dx;     // for a gradient of 1 on loss_sum + z_weight z_sum; undefined unless asked for
  Tensor dweight_VM;  // likewise
};

/// The f32 logits held at a time: `rows` tokens whose rows begin `row_step` elements apart.
struct LmHeadChunk {
  std::int64_t rows = 0;
  std::int64_t row_step = 0;

  [[nodiscard]] std::int64_t bytes() const {
    return rows * row_step * static_cast<std::int64_t>(sizeof(float));
  }
};

/// For a batch of `tokens`: as many rows as fit into chunk_bytes (one at least), in chunks of nearly one size: a short last one would waste its
/// products. Rows a multiple of 4 KiB apart would meet in few cache sets (up to 25 % of the gradient products): they are
/// kept further apart.
[[nodiscard]] LmHeadChunk lm_head_chunk(std::int64_t tokens,
                                        std::int64_t vocabulary,
                                        std::int64_t chunk_bytes);

/// The same on a CUDA device, where vectors of either type begin every row and the products find rows aligned.
[[nodiscard]] LmHeadChunk lm_head_device_chunk(std::int64_t tokens,
                                               std::int64_t vocabulary,
                                               std::int64_t chunk_bytes);

/// loss_sum = sum over tokens of token_weight * token_loss; token_loss = lse - logit[target], logits = alpha x weight^T; z_sum = sum over
/// tokens of token_weight * lse^2.
/// Shapes:  x (.., M), weight [V, M], targets (..) i32, token_weights (..) or undefined (all 1)
///          -> token_loss and lse [N], N the number of tokens; dx like x; dweight [V, M]
/// Value:   token_loss, lse and dweight are f32 (f64 for f64 x), 0 for ignored tokens; loss_sum adds in f64.
///          bf16: logits are f32 products; their gradient is rounded to bf16 for the two gradient products.
///          A logit's gradient is token_weight (p (1 + 2 z_weight lse) - one_hot(target)): z_loss costs no pass of its own.
///          Gradients are made while a chunk's logits are hot, so the backward pass only scales them.
///          dweight is that of alpha weight, as of linear.
///          Equals matmul, log-sum-exp and nll in turn.
/// Errors:  ShapeError, DtypeError; DataError naming position and value of a target outside [0, V) that is not -100, where
///          the targets are on the host. On a device a check would have to wait for it: such a target makes its loss and its
///          gradients NaN there (and is an error in builds with CLAUSIUS_ASSERTS).
/// Cost:    compute-bound: 2 M V a counted token, and as much again for each gradient; chunk_bytes of logits in memory.
/// Source:  Chowdhery et al. 2022, "PaLM: Scaling Language Modeling with Pathways" (z_loss).
[[nodiscard]] LmHeadLoss lm_head_cross_entropy(const Tensor& x,
                                               const Tensor& weight_VM,
                                               const Tensor& targets,
                                               const Tensor& token_weights,
                                               const LmHeadOptions& options);

/// gradient = dy unit_gradient, or gradient += that when `accumulate`: the backward pass. Reads dy, a scalar, where it lives.
void lm_head_cross_entropy_backward(const Tensor& dy,
                                    const Tensor& unit_gradient,
                                    Tensor& gradient,
                                    bool accumulate);

/// Kernels get x as a matrix with M > 0, checked targets, N > 0; dx and dweight are undefined unless asked for; every
/// output byte is theirs to write.
using LmHeadCrossEntropyKernels = KernelTable<void(const Tensor& x_NM,
                                                   const Tensor& weight_VM,
                                                   const Tensor& targets_N,
                                                   const Tensor& token_weights_N,
                                                   Tensor& loss_sum,
                                                   Tensor& token_loss_N,
                                                   Tensor& lse_N,
                                                   Tensor& lse_sums,
                                                   Tensor& dx_NM,
                                                   Tensor& dweight_VM,
                                                   const LmHeadOptions& options)>;
LmHeadCrossEntropyKernels& lm_head_cross_entropy_kernels();
/// For devices other than the CPU: dy f32 [], the gradients dense, looked up by gradient's type.
using LmHeadBackwardKernels = KernelTable<void(
    const Tensor& dy, const Tensor& unit_gradient, Tensor& gradient, bool accumulate)>;
LmHeadBackwardKernels& lm_head_cross_entropy_backward_kernels();

namespace detail {

/// In a dry run: takes and returns what the CPU kernel holds while it runs: a chunk of logits, the scratch of its products
/// and, where some targets are ignored, the counted rows of x and of its gradient.
void touch_lm_head_memory(const Tensor& x_NM,
                          const Tensor& weight_VM,
                          const Tensor& targets_N,
                          const Tensor& dx_NM,
                          const Tensor& dweight_VM,
                          const LmHeadOptions& options);

}  // namespace detail

}  // namespace clausius::ops
