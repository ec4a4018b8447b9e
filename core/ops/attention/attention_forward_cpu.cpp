// SPDX-License-Identifier: Apache-2.0
// The CPU forward of attention for every instruction set: whole tiles, or streaming keys past few rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/attention/attention_forward_cpu.cpp"
#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/ops/attention/attention_cpu.h"
#include "core/ops/attention/attention_decode-inl.h"
#include "core/ops/attention/attention_forward-inl.h"
#include "core/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace clausius::ops::detail {
namespace HWY_NAMESPACE {

template <class In, class T>
ForwardKernels<In> forward_kernels() {
  using Arguments = const ForwardArguments<In>&;
  return {
      .tiles =
          [](Arguments a, std::int64_t first, std::int64_t last) {
            ForwardUnit<In, T> units(a);
            for (std::int64_t unit = first; unit < last; ++unit) {
              units.run(unit);
            }
          },
      .decode = [](Arguments a, std::int64_t b, std::int64_t split,
                   float* states) { DecodeUnit<In>(a).run(b, split, states); },
      .finish_decode = [](Arguments a, std::int64_t b, std::int64_t splits,
                          float* states) { DecodeUnit<In>(a).finish(b, splits, states); },
  };
}

ForwardKernels<float> forward_f32() {
  return forward_kernels<float, float>();
}

ForwardKernels<bf16> forward_bf16(bool jit) {
  return jit && has_bf16_products() ? forward_kernels<bf16, bf16>()
                                    : forward_kernels<bf16, float>();
}

}  // namespace HWY_NAMESPACE
}  // namespace clausius::ops::detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace clausius::ops::detail {
namespace {

HWY_EXPORT(forward_f32);
HWY_EXPORT(forward_bf16);

template <class In>
auto kernels(const AttentionCpuChoice& choice) {
  if constexpr (std::is_same_v<In, float>) {
    return HWY_DYNAMIC_DISPATCH(forward_f32)();
  } else {
    return HWY_DYNAMIC_DISPATCH(forward_bf16)(choice.jit);
  }
}

// Query blocks of one forward unit. Rows do not depend on each other, so the split may follow the number of threads.
std::int64_t blocks_per_unit(const AttentionProblem& p) {
  const std::int64_t blocks = div_ceil(p.T, kTileRows);
  const std::int64_t threads = threads_here();
  const std::int64_t wanted = threads == 1 ? 1 : div_ceil(4 * threads, p.B * p.G);
  return div_ceil(blocks, std::min(blocks, wanted));
}

template <class In>
void forward_tiles(ForwardArguments<In> arguments) {
  const AttentionProblem& p = *arguments.problem;
  arguments.blocks_per_unit = blocks_per_unit(p);
  arguments.units = div_ceil(div_ceil(p.T, kTileRows), arguments.blocks_per_unit);
  const auto run = kernels<In>(arguments.choice);
  const std::int64_t units = p.B * p.G * arguments.units;
  parallel_for(units, units_per_chunk(units),
               [&](std::int64_t first, std::int64_t last) { run.tiles(arguments, first, last); });
}

template <class In>
void forward_decode(const ForwardArguments<In>& arguments) {
  const AttentionProblem& p = *arguments.problem;
  const auto run = kernels<In>(arguments.choice);
  const std::int64_t splits = std::max<std::int64_t>(1, div_ceil(p.S, kDecodeKeys));
  const std::int64_t size = decode_states_size(p);
  Tensor memory = Tensor::empty({p.B * splits * size}, Dtype::kF32);
  float* states = memory.data<float>();
  parallel_for(p.B * splits, 1, [&](std::int64_t unit, std::int64_t) {
    run.decode(arguments, unit / splits, unit % splits, states + unit * size);
  });
  parallel_for(p.B, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      run.finish_decode(arguments, b, splits, states + b * splits * size);
    }
  });
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
  const std::int64_t blocks = div_ceil(problem.T, kTileRows);
  Tensor block_max = Tensor::empty({problem.B, problem.H, blocks}, Dtype::kF32);
  const ForwardArguments<In> arguments{.q = HeadRows<const In>(q, 1),
                                       .k = HeadRows<const In>(k, 1),
                                       .v = HeadRows<const In>(v, 1),
                                       .parameters = HeadParameters(scale, sink),
                                       .problem = &problem,
                                       .choice = choice,
                                       .y = HeadRows<In>(y, 2),
                                       .entropy = entropy.data<float>(),
                                       .lse = lse.data<float>(),
                                       .block_max = block_max.data<float>()};
  if (problem.heads_per_group() * problem.T <= kMostDecodeRows && problem.dropout == 0) {
    forward_decode<In>(arguments);
  } else {
    forward_tiles<In>(arguments);
  }
  for (std::int64_t head = 0; head < problem.B * problem.H; ++head) {
    const float* of_blocks = arguments.block_max + head * blocks;
    max_logit.data<float>()[head] = *std::max_element(of_blocks, of_blocks + blocks);
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

CLS_KERNEL(attention_forward, kCpu, kF32, registered_forward);
CLS_KERNEL(attention_forward, kCpu, kBf16, registered_forward);

}  // namespace clausius::ops::detail
#endif  // HWY_ONCE
