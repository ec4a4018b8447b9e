// SPDX-License-Identifier: Apache-2.0
// The AdamW step on the CPU: one pass in SIMD lanes, f32.
#include <cmath>

#include "core/ops/adamw/adamw.h"
#include "core/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/adamw/adamw_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/simd/bfloat16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

struct AdamwFactors {
  float gradient_scale;
  float beta1;
  float beta2;
  float eps;
  float rate;           // lr / (1 - beta1^step)
  float root_scale;     // 1 / sqrt(1 - beta2^step)
  float decay;          // of the parameter into its update
  float coupled_decay;  // of the parameter into the gradient
};

AdamwFactors factors_of(const AdamwStep& step, const UpdateRange& piece) {
  const double lr = step.lr * piece.lr_scale;
  const auto count = static_cast<double>(step.step);
  return {.gradient_scale = static_cast<float>(step.gradient_scale),
          .beta1 = static_cast<float>(step.beta1),
          .beta2 = static_cast<float>(step.beta2),
          .eps = static_cast<float>(step.eps),
          .rate = static_cast<float>(lr / (1.0 - std::pow(step.beta1, count))),
          .root_scale = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(step.beta2, count))),
          .decay = static_cast<float>(step.decoupled ? lr * piece.weight_decay : 0.0),
          .coupled_decay = static_cast<float>(step.decoupled ? 0.0 : piece.weight_decay)};
}

// Whole vectors of [begin, end); returns where it stopped. `change` collects squared updates.
template <class D>
std::int64_t update(D d,
                    const AdamwFactors& f,
                    const Tensor& gradient,
                    Tensor& m,
                    Tensor& v,
                    Tensor& master,
                    Tensor& compute,
                    std::int64_t begin,
                    std::int64_t end,
                    double& change) {
  const float* g_in = gradient.data<float>();
  float* m_io = m.data<float>();
  float* v_io = v.data<float>();
  float* p_io = master.data<float>();
  bf16* copy = compute ? compute.data<bf16>() : nullptr;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto squares = hn::Zero(d);
  std::int64_t i = begin;
  for (; i + lanes <= end; i += lanes) {
    const auto p = hn::LoadU(d, p_io + i);
    const auto g = hn::MulAdd(hn::Set(d, f.gradient_scale), hn::LoadU(d, g_in + i),
                              hn::Mul(hn::Set(d, f.coupled_decay), p));
    // b m + (1 - b) g, as g + b (m - g): exact where m = g.
    const auto m_new = hn::MulAdd(hn::Set(d, f.beta1), hn::Sub(hn::LoadU(d, m_io + i), g), g);
    const auto g2 = hn::Mul(g, g);
    const auto v_new = hn::MulAdd(hn::Set(d, f.beta2), hn::Sub(hn::LoadU(d, v_io + i), g2), g2);
    const auto root = hn::MulAdd(hn::Sqrt(v_new), hn::Set(d, f.root_scale), hn::Set(d, f.eps));
    const auto step = hn::Div(hn::Mul(hn::Set(d, f.rate), m_new), root);
    const auto change_of_p = hn::MulAdd(hn::Set(d, f.decay), p, step);
    const auto p_new = hn::Sub(p, change_of_p);
    squares = hn::MulAdd(change_of_p, change_of_p, squares);
    hn::StoreU(m_new, d, m_io + i);
    hn::StoreU(v_new, d, v_io + i);
    hn::StoreU(p_new, d, p_io + i);
    if (copy != nullptr) {
      simd::HWY_NAMESPACE::store_f32(p_new, d, copy + i);
    }
  }
  change += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, squares)));
  return i;
}

double adamw_piece(const Tensor& gradient,
                   Tensor& m,
                   Tensor& v,
                   Tensor& master,
                   Tensor& compute,
                   const UpdateRange& piece,
                   const AdamwStep& step) {
  const AdamwFactors f = factors_of(step, piece);
  double change = 0;
  const std::int64_t rest = update(hn::ScalableTag<float>(), f, gradient, m, v, master, compute,
                                   piece.begin, piece.end, change);
  update(hn::CappedTag<float, 1>(), f, gradient, m, v, master, compute, rest, piece.end, change);
  return change;
}

}  // namespace clausius::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::ops {
namespace {

HWY_EXPORT(adamw_piece);

void adamw_cpu(const Tensor& gradient,
               Tensor& m,
               Tensor& v,
               Tensor& master,
               Tensor& compute,
               UpdateRanges ranges,
               const AdamwStep& step,
               double& change) {
  const std::vector<UpdateRange> pieces = update_pieces(ranges);
  const auto piece_kernel = HWY_DYNAMIC_DISPATCH(adamw_piece);
  change = parallel_sum<double>(
      static_cast<std::int64_t>(pieces.size()), 1, [&](std::int64_t index, std::int64_t) {
        return piece_kernel(gradient, m, v, master, compute,
                            pieces[static_cast<std::size_t>(index)], step);
      });
}

CLS_KERNEL(adamw, kCpu, kF32, adamw_cpu);

}  // namespace
}  // namespace clausius::ops
#endif  // HWY_ONCE
