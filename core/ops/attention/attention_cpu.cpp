// SPDX-License-Identifier: Apache-2.0
// The CPU kernels of attention for every instruction set, and their registration.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/attention/attention_cpu.cpp"
#include "core/ops/attention/attention_cpu.h"

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/attention/attention_backward-inl.h"
#include "core/ops/attention/attention_forward-inl.h"
#include "core/ops/attention/attention_reference.h"
#include "core/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::detail {
namespace HWY_NAMESPACE {

void forward_f32(const ForwardArguments<float>& a,
                 std::int64_t b,
                 std::int64_t g,
                 std::int64_t first_block,
                 std::int64_t last_block) {
  ForwardUnit<float, float>(a).run(b, g, first_block, last_block);
}

void forward_bf16(const ForwardArguments<bf16>& a,
                  std::int64_t b,
                  std::int64_t g,
                  std::int64_t first_block,
                  std::int64_t last_block) {
  if (a.choice.jit && has_bf16_products()) {
    ForwardUnit<bf16, bf16>(a).run(b, g, first_block, last_block);
  } else {
    ForwardUnit<bf16, float>(a).run(b, g, first_block, last_block);
  }
}

void backward_f32(const BackwardArguments<float>& a,
                  std::int64_t b,
                  std::int64_t g,
                  std::int64_t split,
                  float* dk,
                  float* dv) {
  BackwardUnit<float, float>(a).run(b, g, split, dk, dv);
}

void backward_bf16(const BackwardArguments<bf16>& a,
                   std::int64_t b,
                   std::int64_t g,
                   std::int64_t split,
                   float* dk,
                   float* dv) {
  if (a.choice.jit && has_bf16_products()) {
    BackwardUnit<bf16, bf16>(a).run(b, g, split, dk, dv);
  } else {
    BackwardUnit<bf16, float>(a).run(b, g, split, dk, dv);
  }
}

void store_key_gradients_f32(const BackwardArguments<float>& a,
                             std::int64_t b,
                             std::int64_t g,
                             float* const* parts) {
  store_key_gradients(a, b, g, parts);
}

void store_key_gradients_bf16(const BackwardArguments<bf16>& a,
                              std::int64_t b,
                              std::int64_t g,
                              float* const* parts) {
  store_key_gradients(a, b, g, parts);
}

}  // namespace HWY_NAMESPACE
}  // namespace clausius::ops::detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::ops::detail {
namespace {

HWY_EXPORT(forward_f32);
HWY_EXPORT(forward_bf16);
HWY_EXPORT(backward_f32);
HWY_EXPORT(backward_bf16);
HWY_EXPORT(store_key_gradients_f32);
HWY_EXPORT(store_key_gradients_bf16);

template <class In>
constexpr bool kIsF32 = std::is_same_v<In, float>;

// Query blocks of one forward unit. Rows do not depend on each other, so the split may follow the number of threads.
std::int64_t blocks_per_unit(const AttentionProblem& p) {
  const std::int64_t blocks = div_ceil(p.T, kTileRows);
  const std::int64_t threads = in_parallel_region() ? 1 : num_threads();
  const std::int64_t wanted = threads == 1 ? 1 : div_ceil(4 * threads, p.B * p.G);
  return div_ceil(blocks, std::min(blocks, wanted));
}

// Units that share one (b, g) in backward: each has sums of its own over all keys, so their number sets the order of additions and
// follows the shape alone.
std::int64_t backward_splits(const AttentionProblem& p) {
  constexpr std::int64_t kEnoughUnits = 8;
  return std::clamp<std::int64_t>(div_ceil(kEnoughUnits, p.B * p.G), 1,
                                  std::min<std::int64_t>(4, div_ceil(p.T, kTileRows)));
}

template <class In>
void forward(const ForwardArguments<In>& arguments, Tensor& max_logit) {
  const AttentionProblem& p = *arguments.problem;
  const std::int64_t blocks = div_ceil(p.T, kTileRows);
  const std::int64_t per_unit = blocks_per_unit(p);
  const std::int64_t units = div_ceil(blocks, per_unit);
  parallel_for(p.B * p.G * units, 1, [&](std::int64_t index, std::int64_t) {
    const std::int64_t head = index / units;
    // Later blocks of a causal mask see more keys: the long units first.
    const std::int64_t first = (units - 1 - index % units) * per_unit;
    const std::int64_t last = std::min(blocks, first + per_unit);
    if constexpr (kIsF32<In>) {
      HWY_DYNAMIC_DISPATCH(forward_f32)(arguments, head / p.G, head % p.G, first, last);
    } else {
      HWY_DYNAMIC_DISPATCH(forward_bf16)(arguments, head / p.G, head % p.G, first, last);
    }
  });
  for (std::int64_t head = 0; head < p.B * p.H; ++head) {
    const float* of_blocks = arguments.block_max + head * blocks;
    max_logit.data<float>()[head] = *std::max_element(of_blocks, of_blocks + blocks);
  }
}

template <class In>
void backward(const BackwardArguments<In>& arguments) {
  const AttentionProblem& p = *arguments.problem;
  const std::int64_t keys = round_up(p.S, kTileKeys);
  const std::int64_t dk_size = keys * round_up(p.D, kStep);
  const std::int64_t dv_size = keys * round_up(p.E, kStep);
  std::vector<Tensor> sums(static_cast<std::size_t>(p.B * p.G * arguments.splits));
  const auto store = [&](std::int64_t head) {
    std::vector<float*> parts;
    for (std::int64_t split = 0; split < arguments.splits; ++split) {
      parts.push_back(
          sums[static_cast<std::size_t>(head * arguments.splits + split)].template data<float>());
    }
    if constexpr (kIsF32<In>) {
      HWY_DYNAMIC_DISPATCH(store_key_gradients_f32)
      (arguments, head / p.G, head % p.G, parts.data());
    } else {
      HWY_DYNAMIC_DISPATCH(store_key_gradients_bf16)
      (arguments, head / p.G, head % p.G, parts.data());
    }
    std::fill_n(sums.begin() + head * arguments.splits, arguments.splits, Tensor());
  };
  parallel_for(p.B * p.G * arguments.splits, 1, [&](std::int64_t index, std::int64_t) {
    const std::int64_t head = index / arguments.splits;
    Tensor& sum = sums[static_cast<std::size_t>(index)];
    sum = Tensor::zeros({dk_size + dv_size}, Dtype::kF32);
    float* dk = sum.data<float>();
    if constexpr (kIsF32<In>) {
      HWY_DYNAMIC_DISPATCH(backward_f32)
      (arguments, head / p.G, head % p.G, index % arguments.splits, dk, dk + dk_size);
    } else {
      HWY_DYNAMIC_DISPATCH(backward_bf16)
      (arguments, head / p.G, head % p.G, index % arguments.splits, dk, dk + dk_size);
    }
    if (arguments.splits == 1) {
      store(head);
    }
  });
  if (arguments.splits > 1) {
    parallel_for(p.B * p.G, 1, [&](std::int64_t head, std::int64_t) { store(head); });
  }
}

template <class In>
void forward_tensors(const AttentionCpuChoice& choice,
                     const Tensor& q,
                     const Tensor& k,
                     const Tensor& v,
                     const Tensor& scale,
                     const Tensor& sink,
                     const AttentionProblem& problem,
                     Tensor& y,
                     Tensor& entropy,
                     Tensor& lse,
                     Tensor& max_logit) {
  Tensor block_max =
      Tensor::empty({problem.B, problem.H, div_ceil(problem.T, kTileRows)}, Dtype::kF32);
  forward<In>({.q = HeadRows<const In>(q, 1),
               .k = HeadRows<const In>(k, 1),
               .v = HeadRows<const In>(v, 1),
               .parameters = HeadParameters(scale, sink),
               .problem = &problem,
               .choice = choice,
               .y = HeadRows<In>(y, 2),
               .entropy = entropy.data<float>(),
               .lse = lse.data<float>(),
               .block_max = block_max.data<float>()},
              max_logit);
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
                .splits = backward_splits(problem),
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

void attention_forward_cpu(const AttentionCpuChoice& choice,
                           const Tensor& q,
                           const Tensor& k,
                           const Tensor& v,
                           const Tensor& scale,
                           const Tensor& sink,
                           const AttentionProblem& problem,
                           Tensor& y,
                           Tensor& entropy,
                           Tensor& lse,
                           Tensor& max_logit) {
  if (problem.B * problem.H * problem.T == 0) {
    return max_logit.fill(-std::numeric_limits<double>::infinity());
  }
  const auto run = q.dtype() == Dtype::kF32 ? forward_tensors<float> : forward_tensors<bf16>;
  run(choice, q, k, v, scale, sink, problem, y, entropy, lse, max_logit);
}

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

void registered_forward(const Tensor& q,
                        const Tensor& k,
                        const Tensor& v,
                        const Tensor& scale,
                        const Tensor& sink,
                        const AttentionProblem& problem,
                        Tensor& y,
                        Tensor& entropy,
                        Tensor& lse,
                        Tensor& max_logit) {
  attention_forward_cpu({}, q, k, v, scale, sink, problem, y, entropy, lse, max_logit);
}

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

CLS_KERNEL(attention_forward, kCpu, kF32, registered_forward);
CLS_KERNEL(attention_forward, kCpu, kBf16, registered_forward);
CLS_KERNEL(attention_backward, kCpu, kF32, registered_backward);
CLS_KERNEL(attention_backward, kCpu, kBf16, registered_backward);

}  // namespace clausius::ops::detail
#endif  // HWY_ONCE
