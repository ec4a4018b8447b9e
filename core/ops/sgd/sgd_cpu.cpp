// SPDX-License-Identifier: Apache-2.0
// CPU kernel of the SGD step, compiled once per instruction set: one pass over the buffers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/sgd/sgd_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/sgd/sgd.h"
#include "core/parallel.h"
#include "core/simd/dispatch.h"
#include "core/simd/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::simd::HWY_NAMESPACE {

// Returns the sum of squared updates of the piece.
double sgd_piece(const Tensor& gradient,
                 Tensor& velocity,
                 Tensor& master,
                 Tensor& compute,
                 const UpdateRange& piece,
                 const ops::SgdStep& step) {
  const float* gradients = gradient.data<float>() + piece.begin;
  float* velocities = step.momentum != 0.0 ? velocity.data<float>() + piece.begin : nullptr;
  float* parameters = master.data<float>() + piece.begin;
  bf16* copies = compute ? compute.data<bf16>() + piece.begin : nullptr;
  const Lane gradient_scale(step.gradient_scale);
  const Lane decay(piece.weight_decay);
  const Lane momentum(step.momentum);
  const Lane rate(step.lr * piece.lr_scale);
  const bool nesterov = step.nesterov;
  return sum_lanes(piece.end - piece.begin, [=](auto part, std::int64_t i) HWY_ATTR {
    const Lane p = part.load(parameters + i);
    const Lane g = mul_add(gradient_scale, part.load(gradients + i), decay * p);
    Lane direction = g;
    if (velocities != nullptr) {
      const Lane v = mul_add(momentum, part.load(velocities + i), g);
      part.store(v, velocities + i);
      direction = nesterov ? mul_add(momentum, v, g) : v;
    }
    const Lane update = rate * direction;
    const Lane p_new = p - update;
    part.store(p_new, parameters + i);
    if (copies != nullptr) {
      part.store(p_new, copies + i);
    }
    return update * update;
  });
}

void sgd_f32(const Tensor& gradient,
             Tensor& velocity,
             Tensor& master,
             Tensor& compute,
             UpdateRanges ranges,
             const ops::SgdStep& step,
             Tensor& change) {
  const std::vector<UpdateRange> pieces = update_pieces(ranges);
  const auto count = static_cast<std::int64_t>(pieces.size());
  change.data<double>()[0] = parallel_sum<double>(count, 1, [&](std::int64_t index, std::int64_t) {
    return sgd_piece(gradient, velocity, master, compute, pieces[static_cast<std::size_t>(index)],
                     step);
  });
}

}  // namespace clausius::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::simd {
CLS_SIMD_KERNEL(sgd, kF32, sgd_f32);
}  // namespace clausius::simd
#endif  // HWY_ONCE
