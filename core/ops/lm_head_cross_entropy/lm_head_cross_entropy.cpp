// SPDX-License-Identifier: Apache-2.0
// Checks, allocation and dispatch of lm_head_cross_entropy.
#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <span>
#include <vector>

#include "core/checked.h"
#include "core/dry_run.h"
#include "core/ops/axpby/axpby.h"
#include "core/ops/lm_head_cross_entropy/lm_head_cross_entropy_reference.h"
#include "core/ops/matmul/as_matrix.h"
#include "core/ops/matmul/matmul.h"

namespace clausius::ops {
namespace {

void check_targets(const Tensor& targets_N, std::int64_t vocabulary) {
  const View<const std::int32_t, 1> targets(targets_N);
  for (std::int64_t n = 0; n < targets_N.size(0); ++n) {
    const std::int32_t target = targets(n);
    CLS_CHECK((target >= 0 && target < vocabulary) || target == kIgnoredTarget, DataError,
              "[lm_head_cross_entropy] target ", target, " at position ", n, "; expected 0 .. ",
              vocabulary - 1, " or ", kIgnoredTarget, " to ignore the token");
  }
}

#ifdef CLS_ENABLE_ASSERTS
constexpr bool kCheckOnDevices = true;
#else
constexpr bool kCheckOnDevices = false;
#endif

// The targets as a dense list where x is. Reading them from a device would wait for all the work on it.
Tensor checked_targets(const Tensor& targets, std::int64_t vocabulary, Device device) {
  const Tensor targets_N = targets.contiguous().reshape({targets.numel()});
  if (targets.device() == kCpu || kCheckOnDevices) {
    check_targets(targets_N.to(kCpu), vocabulary);
  }
  return targets_N.to(device);
}

void scale_unit_gradient(const Tensor& dy,
                         const Tensor& unit_gradient,
                         Tensor& gradient,
                         bool accumulate) {
  axpby(dy.item(), unit_gradient, accumulate ? 1.0 : 0.0, gradient);
}

Shape leading(const Tensor& x) {
  Shape shape;
  for (int axis = 0; axis + 1 < x.rank(); ++axis) {
    shape.push_back(x.size(axis));
  }
  return shape;
}

void check_operands(const Tensor& x,
                    const Tensor& weight_VM,
                    const Tensor& targets,
                    const Tensor& token_weights,
                    const Tensor& z_weight,
                    Dtype wide) {
  CLS_CHECK(
      x.rank() >= 1 && weight_VM.rank() == 2 && x.size(-1) == weight_VM.size(1) && x.size(-1) > 0,
      ShapeError, "[lm_head_cross_entropy] x is ", x.shape(), ", weight is ", weight_VM.shape(),
      "; expected x (.., M) and weight [V, M], M > 0");
  CLS_CHECK(is_floating(x.dtype()) && x.dtype() == weight_VM.dtype(), DtypeError,
            "[lm_head_cross_entropy] x is ", x.dtype(), ", weight is ", weight_VM.dtype(),
            "; expected one floating type");
  CLS_CHECK(targets.shape() == leading(x), ShapeError, "[lm_head_cross_entropy] targets are ",
            targets.shape(), "; expected ", leading(x));
  CLS_CHECK(targets.dtype() == Dtype::kI32, DtypeError, "[lm_head_cross_entropy] targets are ",
            targets.dtype(), "; expected i32");
  if (z_weight) {
    CLS_CHECK(z_weight.numel() == 1 && z_weight.device() == x.device(), ShapeError,
              "[lm_head_cross_entropy] z_weight is ", z_weight.shape(), " on ", z_weight.device(),
              "; expected one element on ", x.device());
    CLS_CHECK(z_weight.dtype() == Dtype::kF64, DtypeError, "[lm_head_cross_entropy] z_weight is ",
              z_weight.dtype(), "; expected f64");
  }
  if (token_weights) {
    CLS_CHECK(token_weights.shape() == leading(x), ShapeError,
              "[lm_head_cross_entropy] token_weights are ", token_weights.shape(), "; expected ",
              leading(x));
    CLS_CHECK(token_weights.dtype() == wide, DtypeError,
              "[lm_head_cross_entropy] token_weights are ", token_weights.dtype(), "; expected ",
              wide);
  }
}

}  // namespace

LmHeadChunk lm_head_chunk(std::int64_t tokens, std::int64_t vocabulary, std::int64_t chunk_bytes) {
  const std::int64_t row_step = vocabulary % 1024 == 0 ? vocabulary + 16 : vocabulary;
  if (tokens == 0) {
    return {.rows = 0, .row_step = row_step};
  }
  const std::int64_t most =
      std::max<std::int64_t>(1, chunk_bytes / LmHeadChunk{.rows = 1, .row_step = row_step}.bytes());
  const std::int64_t even = div_ceil(tokens, div_ceil(tokens, most));
  return {.rows = std::min(most, round_up(even, std::int64_t{16})), .row_step = row_step};
}

LmHeadChunk lm_head_device_chunk(std::int64_t tokens,
                                 std::int64_t vocabulary,
                                 std::int64_t chunk_bytes) {
  LmHeadChunk chunk = lm_head_chunk(tokens, vocabulary, chunk_bytes);
  chunk.row_step = round_up<std::int64_t>(chunk.row_step, 64);
  return chunk;
}

LmHeadCrossEntropyKernels& lm_head_cross_entropy_kernels() {
  static LmHeadCrossEntropyKernels table("lm_head_cross_entropy",
                                         lm_head_cross_entropy_reference<double>,
                                         lm_head_cross_entropy_reference<float>);
  return table;
}

LmHeadLoss lm_head_cross_entropy(const Tensor& x,
                                 const Tensor& weight_VM,
                                 const Tensor& targets,
                                 const Tensor& token_weights,
                                 const LmHeadOptions& options) {
  const Dtype wide = x.dtype() == Dtype::kBf16 ? Dtype::kF32 : x.dtype();
  check_operands(x, weight_VM, targets, token_weights, options.z_weight, wide);
  detail::check_factor("lm_head_cross_entropy", options.alpha, x.dtype(), x.device());
  const Tensor x_NM = as_matrix(x);
  const std::int64_t tokens = x_NM.size(0);
  const Tensor targets_N = checked_targets(targets, weight_VM.size(0), x.device());
  const Tensor weights_N =
      token_weights ? token_weights.contiguous().reshape({tokens}).to(x.device()) : token_weights;
  LmHeadLoss loss{.loss_sum = Tensor::empty({}, Dtype::kF64, x.device()),
                  .token_loss_N = Tensor::empty({tokens}, wide, x.device()),
                  .lse_N = Tensor::empty({tokens}, wide, x.device()),
                  .lse_sums = Tensor::empty({3}, Dtype::kF64, x.device()),
                  .dx = options.dx ? Tensor::empty(x.shape(), x.dtype(), x.device()) : Tensor(),
                  .dweight_VM = options.dweight ? Tensor::empty(weight_VM.shape(), wide, x.device())
                                                : Tensor()};
  if (tokens == 0) {
    loss.loss_sum.fill(0.0);
    loss.lse_sums.fill(0.0);
    loss.lse_sums.select(0, 2).fill(-std::numeric_limits<double>::infinity());
    if (options.dweight) {
      loss.dweight_VM.fill(0.0);
    }
    return loss;
  }
  Tensor dx_NM = options.dx ? as_matrix(loss.dx) : Tensor();
  if (in_dry_run() && x.device() != kCpu) {
    const LmHeadChunk chunk = lm_head_device_chunk(tokens, weight_VM.size(0), options.chunk_bytes);
    const Storage logits(static_cast<std::size_t>(chunk.bytes()), x.device());
  } else if (in_dry_run() && wide == Dtype::kF32) {
    detail::touch_lm_head_memory(x_NM, weight_VM, targets_N, dx_NM, loss.dweight_VM, options);
  }
  lm_head_cross_entropy_kernels().run(x.device(), x.dtype(), x_NM, weight_VM, targets_N, weights_N,
                                      loss.loss_sum, loss.token_loss_N, loss.lse_N, loss.lse_sums,
                                      dx_NM, loss.dweight_VM, options);
  return loss;
}

LmHeadBackwardKernels& lm_head_cross_entropy_backward_kernels() {
  static LmHeadBackwardKernels table("lm_head_cross_entropy_backward", scale_unit_gradient,
                                     scale_unit_gradient);
  return table;
}

void lm_head_cross_entropy_backward(const Tensor& dy,
                                    const Tensor& unit_gradient,
                                    Tensor& gradient,
                                    bool accumulate) {
  const Device device = gradient.device();
  if (device == kCpu) {
    return scale_unit_gradient(dy, unit_gradient, gradient, accumulate);
  }
  CLS_CHECK(gradient.shape() == unit_gradient.shape() && dy.numel() == 1, ShapeError,
            "[lm_head_cross_entropy_backward] gradient is ", gradient.shape(), ", made for ",
            unit_gradient.shape(), ", dy is ", dy.shape());
  if (gradient.numel() == 0) {
    return;
  }
  if (!gradient.is_contiguous()) {
    Tensor dense =
        accumulate ? gradient.clone() : Tensor::empty(gradient.shape(), gradient.dtype(), device);
    lm_head_cross_entropy_backward(dy, unit_gradient, dense, accumulate);
    return gradient.copy_from(dense);
  }
  lm_head_cross_entropy_backward_kernels().run(device, gradient.dtype(),
                                               dy.to(Dtype::kF32).to(device),
                                               unit_gradient.contiguous(), gradient, accumulate);
}

}  // namespace clausius::ops
