// SPDX-License-Identifier: Apache-2.0
// The CPU backward of attention for every instruction set: units of query blocks, their sums over keys added in order.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/attention/attention_backward_cpu.cpp"
#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/attention/attention_backward-inl.h"
#include "core/ops/attention/attention_cpu.h"
#include "core/ops/attention/attention_reference.h"
#include "core/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::detail {
namespace HWY_NAMESPACE {

template <class In, class T>
BackwardKernels<In> backward_kernels() {
  return {
      .tiles =
          [](const BackwardArguments<In>& a, std::int64_t first, std::int64_t last) {
            BackwardUnit<In, T> units(a);
            for (std::int64_t unit = first; unit < last; ++unit) {
              units.run(unit);
            }
          },
      .store_key_gradients = store_key_gradients<In>,
  };
}

BackwardKernels<float> backward_f32() {
  return backward_kernels<float, float>();
}

BackwardKernels<bf16> backward_bf16(bool jit) {
  return jit && has_bf16_products() ? backward_kernels<bf16, bf16>()
                                    : backward_kernels<bf16, float>();
}

}  // namespace HWY_NAMESPACE
}  // namespace clausius::ops::detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::ops::detail {
namespace {

HWY_EXPORT(backward_f32);
HWY_EXPORT(backward_bf16);

template <class In>
auto kernels(const AttentionCpuChoice& choice) {
  if constexpr (std::is_same_v<In, float>) {
    return HWY_DYNAMIC_DISPATCH(backward_f32)();
  } else {
    return HWY_DYNAMIC_DISPATCH(backward_bf16)(choice.jit);
  }
}

// Units that share one (b, g) in backward: each has sums of its own over all keys, so their number sets the order of additions and
// follows the shape alone.
std::int64_t backward_splits(const AttentionProblem& p) {
  constexpr std::int64_t kEnoughUnits = 8;
  return std::clamp<std::int64_t>(div_ceil(kEnoughUnits, p.B * p.G), 1,
                                  std::min<std::int64_t>(4, div_ceil(p.T, kTileRows)));
}

template <class In>
void backward(BackwardArguments<In> arguments) {
  const AttentionProblem& p = *arguments.problem;
  const auto run = kernels<In>(arguments.choice);
  arguments.splits = backward_splits(p);
  const std::int64_t units = p.B * p.G * arguments.splits;
  Tensor sums;
  if (arguments.splits > 1) {
    sums = Tensor::empty({units, key_sums_size(p)}, Dtype::kF32);
    arguments.sums = sums.data<float>();
  }
  parallel_for(units, units_per_chunk(units),
               [&](std::int64_t first, std::int64_t last) { run.tiles(arguments, first, last); });
  if (arguments.splits > 1) {
    parallel_for(p.B * p.G, 1, [&](std::int64_t head, std::int64_t) {
      run.store_key_gradients(arguments, head / p.G, head % p.G,
                              arguments.sums + head * arguments.splits * key_sums_size(p));
    });
  }
}

template <class In>
void backward_tensors(const AttentionCpuChoice& choice,
                      const Tensor& dy,
                      const Tensor& dentropy,
                      const Tensor& dlse,
                      const Tensor& q,
                      const Tensor& k,
                      const Tensor& v,
                      const Tensor& scale,
                      const Tensor& sink,
                      const Tensor& y,
                      const Tensor& entropy,
                      const Tensor& lse,
                      const AttentionProblem& problem,
                      Tensor& dq,
                      Tensor& dk,
                      Tensor& dv,
                      Tensor& dscale,
                      Tensor& dsink) {
  const Shape rows{problem.B, problem.H, problem.T};
  Tensor row_dscale = dscale.defined() ? Tensor::empty(rows, Dtype::kF32) : Tensor();
  Tensor row_dsink = dsink.defined() ? Tensor::empty(rows, Dtype::kF32) : Tensor();
  backward<In>({.q = HeadRows<const In>(q, 1),
                .k = HeadRows<const In>(k, 1),
                .v = HeadRows<const In>(v, 1),
                .dy = HeadRows<const In>(dy, 2),
                .y = HeadRows<const In>(y, 2),
                .dentropy = RowValues(dentropy),
                .dlse = RowValues(dlse),
                .entropy = RowValues(entropy),
                .lse = RowValues(lse),
                .parameters = HeadParameters(scale, sink),
                .problem = &problem,
                .choice = choice,
                .dq = HeadRows<In>(dq, 1),
                .dk = HeadRows<In>(dk, 1),
                .dv = HeadRows<In>(dv, 1),
                .row_dscale = dscale.defined() ? row_dscale.data<float>() : nullptr,
                .row_dsink = dsink.defined() ? row_dsink.data<float>() : nullptr});
  if (dscale.defined()) {
    sum_attention_rows<float, float>(row_dscale.span<float>(), problem, dscale);
  }
  if (dsink.defined()) {
    sum_attention_rows<float, float>(row_dsink.span<float>(), problem, dsink);
  }
}

}  // namespace

void attention_backward_cpu(const AttentionCpuChoice& choice,
                            const Tensor& dy,
                            const Tensor& dentropy,
                            const Tensor& dlse,
                            const Tensor& q,
                            const Tensor& k,
                            const Tensor& v,
                            const Tensor& scale,
                            const Tensor& sink,
                            const Tensor& y,
                            const Tensor& entropy,
                            const Tensor& lse,
                            const AttentionProblem& problem,
                            Tensor& dq,
                            Tensor& dk,
                            Tensor& dv,
                            Tensor& dscale,
                            Tensor& dsink) {
  if (problem.B * problem.H * problem.T == 0) {
    for (Tensor* gradient : {&dq, &dk, &dv, &dscale, &dsink}) {
      if (gradient->defined()) {
        gradient->fill(0.0);
      }
    }
    return;
  }
  const auto run = q.dtype() == Dtype::kF32 ? backward_tensors<float> : backward_tensors<bf16>;
  run(choice, dy, dentropy, dlse, q, k, v, scale, sink, y, entropy, lse, problem, dq, dk, dv,
      dscale, dsink);
}

namespace {

void registered_backward(const Tensor& dy,
                         const Tensor& dentropy,
                         const Tensor& dlse,
                         const Tensor& q,
                         const Tensor& k,
                         const Tensor& v,
                         const Tensor& scale,
                         const Tensor& sink,
                         const Tensor& y,
                         const Tensor& entropy,
                         const Tensor& lse,
                         const AttentionProblem& problem,
                         Tensor& dq,
                         Tensor& dk,
                         Tensor& dv,
                         Tensor& dscale,
                         Tensor& dsink) {
  attention_backward_cpu({}, dy, dentropy, dlse, q, k, v, scale, sink, y, entropy, lse, problem, dq,
                         dk, dv, dscale, dsink);
}

}  // namespace

CLS_KERNEL(attention_backward, kCpu, kF32, registered_backward);
CLS_KERNEL(attention_backward, kCpu, kBf16, registered_backward);

}  // namespace clausius::ops::detail
#endif  // HWY_ONCE
