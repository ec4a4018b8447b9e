// SPDX-License-Identifier: Apache-2.0
// The SGD step on the CPU: one pass in SIMD lanes, f32.
#include "core/ops/sgd/sgd.h"
#include "core/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/sgd/sgd_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/simd/bfloat16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Whole vectors of [begin, end); returns where it stopped. `change` collects squared updates.
template <class D>
std::int64_t update(D d,
                    const SgdStep& step,
                    const UpdateRange& piece,
                    const Tensor& gradient,
                    Tensor& velocity,
                    Tensor& master,
                    Tensor& compute,
                    std::int64_t begin,
                    double& change) {
  const float* g_in = gradient.data<float>();
  float* v_io = step.momentum != 0.0 ? velocity.data<float>() : nullptr;
  float* p_io = master.data<float>();
  bf16* copy = compute ? compute.data<bf16>() : nullptr;
  const auto gradient_scale = hn::Set(d, static_cast<float>(step.gradient_scale));
  const auto decay = hn::Set(d, static_cast<float>(piece.weight_decay));
  const auto momentum = hn::Set(d, static_cast<float>(step.momentum));
  const auto rate = hn::Set(d, static_cast<float>(step.lr * piece.lr_scale));
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto squares = hn::Zero(d);
  std::int64_t i = begin;
  for (; i + lanes <= piece.end; i += lanes) {
    const auto p = hn::LoadU(d, p_io + i);
    const auto g = hn::MulAdd(gradient_scale, hn::LoadU(d, g_in + i), hn::Mul(decay, p));
    auto direction = g;
    if (v_io != nullptr) {
      const auto v = hn::MulAdd(momentum, hn::LoadU(d, v_io + i), g);
      hn::StoreU(v, d, v_io + i);
      direction = step.nesterov ? hn::MulAdd(momentum, v, g) : v;
    }
    const auto change_of_p = hn::Mul(rate, direction);
    const auto p_new = hn::Sub(p, change_of_p);
    squares = hn::MulAdd(change_of_p, change_of_p, squares);
    hn::StoreU(p_new, d, p_io + i);
    if (copy != nullptr) {
      simd::HWY_NAMESPACE::store_f32(p_new, d, copy + i);
    }
  }
  change += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, squares)));
  return i;
}

double sgd_piece(const Tensor& gradient,
                 Tensor& velocity,
                 Tensor& master,
                 Tensor& compute,
                 const UpdateRange& piece,
                 const SgdStep& step) {
  double change = 0;
  const std::int64_t rest = update(hn::ScalableTag<float>(), step, piece, gradient, velocity,
                                   master, compute, piece.begin, change);
  update(hn::CappedTag<float, 1>(), step, piece, gradient, velocity, master, compute, rest, change);
  return change;
}

}  // namespace clausius::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::ops {
namespace {

HWY_EXPORT(sgd_piece);

void sgd_cpu(const Tensor& gradient,
             Tensor& velocity,
             Tensor& master,
             Tensor& compute,
             UpdateRanges ranges,
             const SgdStep& step,
             double& change) {
  const std::vector<UpdateRange> pieces = update_pieces(ranges);
  const auto piece_kernel = HWY_DYNAMIC_DISPATCH(sgd_piece);
  change = parallel_sum<double>(
      static_cast<std::int64_t>(pieces.size()), 1, [&](std::int64_t index, std::int64_t) {
        return piece_kernel(gradient, velocity, master, compute,
                            pieces[static_cast<std::size_t>(index)], step);
      });
}

CLS_KERNEL(sgd, kCpu, kF32, sgd_cpu);

}  // namespace
}  // namespace clausius::ops
#endif  // HWY_ONCE
