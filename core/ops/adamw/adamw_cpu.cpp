// SPDX-License-Identifier: Apache-2.0
// CPU kernel of the AdamW step, compiled once per instruction set: one pass over the buffers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/adamw/adamw_cpu.cpp"
#include <cmath>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/adamw/adamw.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

// Returns the sum of squared updates of the piece.
double adamw_piece(const Tensor& gradient,
                   Tensor& m,
                   Tensor& v,
                   Tensor& master,
                   Tensor& compute,
                   const UpdateRange& piece,
                   const ops::AdamwStep& step) {
  const float* gradients = gradient.data<float>() + piece.begin;
  float* first = m.data<float>() + piece.begin;
  float* second = v.data<float>() + piece.begin;
  float* parameters = master.data<float>() + piece.begin;
  bf16* copies = compute ? compute.data<bf16>() + piece.begin : nullptr;
  const double lr = step.lr * piece.lr_scale;
  const auto count = static_cast<double>(step.step);
  const Lane gradient_scale(step.gradient_scale);
  const Lane coupled_decay(step.decoupled ? 0.0 : piece.weight_decay);
  const Lane decay(step.decoupled ? lr * piece.weight_decay : 0.0);
  const Lane beta1(step.beta1);
  const Lane beta2(step.beta2);
  const Lane eps(step.eps);
  const Lane rate(lr / (1.0 - std::pow(step.beta1, count)));
  const Lane root_scale(1.0 / std::sqrt(1.0 - std::pow(step.beta2, count)));
  return sum_lanes(piece.end - piece.begin, [=](auto part, std::int64_t i) HWY_ATTR {
    const Lane p = part.load(parameters + i);
    const Lane g = mul_add(gradient_scale, part.load(gradients + i), coupled_decay * p);
    // b m + (1 - b) g as g + b (m - g): one rounding less, and exact where m = g.
    const Lane m_new = mul_add(beta1, part.load(first + i) - g, g);
    const Lane v_new = mul_add(beta2, part.load(second + i) - g * g, g * g);
    const Lane update = mul_add(decay, p, rate * m_new / mul_add(sqrt(v_new), root_scale, eps));
    const Lane p_new = p - update;
    part.store(m_new, first + i);
    part.store(v_new, second + i);
    part.store(p_new, parameters + i);
    if (copies != nullptr) {
      part.store(p_new, copies + i);
    }
    return update * update;
  });
}

void adamw_f32(const Tensor& gradient,
               Tensor& m,
               Tensor& v,
               Tensor& master,
               Tensor& compute,
               UpdateRanges ranges,
               const ops::AdamwStep& step,
               Tensor& change) {
  const std::vector<UpdateRange> pieces = update_pieces(ranges);
  const auto count = static_cast<std::int64_t>(pieces.size());
  change.data<double>()[0] = parallel_sum<double>(count, 1, [&](std::int64_t index, std::int64_t) {
    return adamw_piece(gradient, m, v, master, compute, pieces[static_cast<std::size_t>(index)],
                       step);
  });
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(adamw, kF32, adamw_f32);
}  // namespace clausius::simd
#endif  // HWY_ONCE
