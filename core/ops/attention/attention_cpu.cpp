// SPDX-License-Identifier: Apache-2.0
// The CPU kernels of attention for every instruction set, and their registration.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/attention/attention_cpu.cpp"
#include "core/ops/attention/attention_cpu.h"

#include <algorithm>
#include <limits>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/attention/attention_forward-inl.h"
#include "core/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::detail {
namespace HWY_NAMESPACE {

template <class In, class T, bool kEntropy>
void forward_unit(const ForwardArguments<In>& arguments,
                  std::int64_t b,
                  std::int64_t g,
                  std::int64_t first_block,
                  std::int64_t last_block) {
  if (arguments.problem->dropout > 0) {
    ForwardUnit<In, T, kEntropy, true>(arguments).run(b, g, first_block, last_block);
  } else {
    ForwardUnit<In, T, kEntropy, false>(arguments).run(b, g, first_block, last_block);
  }
}

void forward_f32(const ForwardArguments<float>& arguments,
                 std::int64_t b,
                 std::int64_t g,
                 std::int64_t first_block,
                 std::int64_t last_block) {
  if (arguments.choice.entropy) {
    forward_unit<float, float, true>(arguments, b, g, first_block, last_block);
  } else {
    forward_unit<float, float, false>(arguments, b, g, first_block, last_block);
  }
}

void forward_bf16(const ForwardArguments<bf16>& arguments,
                  std::int64_t b,
                  std::int64_t g,
                  std::int64_t first_block,
                  std::int64_t last_block) {
  if (arguments.choice.jit && has_bf16_products()) {
    if (arguments.choice.entropy) {
      forward_unit<bf16, bf16, true>(arguments, b, g, first_block, last_block);
    } else {
      forward_unit<bf16, bf16, false>(arguments, b, g, first_block, last_block);
    }
  } else {
    forward_unit<bf16, float, true>(arguments, b, g, first_block, last_block);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace clausius::ops::detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::ops::detail {

HWY_EXPORT(forward_f32);
HWY_EXPORT(forward_bf16);

namespace {

// Query blocks of one unit. Rows do not depend on each other, so the split may follow the number of
// threads.
std::int64_t blocks_per_unit(const AttentionProblem& p) {
  const std::int64_t blocks = div_ceil(p.T, kTileRows);
  const std::int64_t threads = in_parallel_region() ? 1 : num_threads();
  const std::int64_t wanted = threads == 1 ? 1 : div_ceil(4 * threads, p.B * p.G);
  return div_ceil(blocks, std::min(blocks, wanted));
}

template <class In>
void run_forward(const ForwardArguments<In>& arguments, Tensor& max_logit) {
  const AttentionProblem& p = *arguments.problem;
  const std::int64_t blocks = div_ceil(p.T, kTileRows);
  const std::int64_t per_unit = blocks_per_unit(p);
  const std::int64_t units = div_ceil(blocks, per_unit);
  parallel_for(p.B * p.G * units, 1, [&](std::int64_t index, std::int64_t) {
    const std::int64_t head = index / units;
    // Later blocks of a causal mask see more keys: the long units first.
    const std::int64_t first = (units - 1 - index % units) * per_unit;
    const std::int64_t last = std::min(blocks, first + per_unit);
    if constexpr (std::is_same_v<In, float>) {
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
void forward(const AttentionCpuChoice& choice,
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
  const Tensor block_max =
      Tensor::empty({problem.B, problem.H, div_ceil(problem.T, kTileRows)}, Dtype::kF32);
  run_forward<In>({.q = HeadRows<const In>(q, 1),
                   .k = HeadRows<const In>(k, 1),
                   .v = HeadRows<const In>(v, 1),
                   .parameters = HeadParameters(scale, sink),
                   .problem = &problem,
                   .choice = choice,
                   .y = HeadRows<In>(y, 2),
                   .entropy = entropy.data<float>(),
                   .lse = lse.data<float>(),
                   .block_max = const_cast<float*>(block_max.data<float>())},
                  max_logit);
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
  if (q.dtype() == Dtype::kF32) {
    forward<float>(choice, q, k, v, scale, sink, problem, y, entropy, lse, max_logit);
  } else {
    forward<bf16>(choice, q, k, v, scale, sink, problem, y, entropy, lse, max_logit);
  }
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

}  // namespace
}  // namespace clausius::ops::detail

CLS_KERNEL(attention_forward, kCpu, kF32, clausius::ops::detail::registered_forward);
CLS_KERNEL(attention_forward, kCpu, kBf16, clausius::ops::detail::registered_forward);

#endif  // HWY_ONCE
