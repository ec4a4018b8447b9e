// SPDX-License-Identifier: Apache-2.0
// Attention on views of one fused projection, as models call it. The entropy is always computed; `forward_backward_entropy` also
// takes a gradient of it, as the entropy regularizers do.
#include "core/ops/attention/attention.h"

#include "core/ops/attention/attention_cudnn.h"
#include "core/ops/attention/attention_probe.h"
#include "train/benchmarks/micro.h"
#include "train/benchmarks/timing.h"

namespace clausius {
namespace {

enum class Pass { kForward, kForwardBackward, kForwardBackwardEntropy };

// q, k and v of [B, T, 3 H, D] memory, which is a fused projection's.
struct Heads {
  explicit Heads(const Tensor& fused) : H(fused.size(2) / 3), fused_BTHD(fused) {}
  [[nodiscard]] Tensor part(std::int64_t index) const {
    return fused_BTHD.slice(2, index * H, (index + 1) * H).transpose(1, 2);
  }
  std::int64_t H;
  Tensor fused_BTHD;
};

MicroWork attention(Device device,
                    const AttentionShape& shape,
                    Pass pass,
                    Dtype dtype,
                    ops::AttentionEngine engine) {
  const auto [B, H, T, D, causal, dtypes] = shape;
  const Heads qkv(normal_values({B, T, 3 * H, D}, dtype, device));
  const Tensor q = qkv.part(0);
  const Tensor k = qkv.part(1);
  const Tensor v = qkv.part(2);
  ops::AttentionOptions options;
  options.mask.causal = causal;
  options.engine = engine;
  // 4 T^2 D a head, half of it masked where causal; backward is 2.5 times that.
  const double forward_flops =
      (causal ? 2.0 : 4.0) * static_cast<double>(B * H * D) * static_cast<double>(T * T);
  if (pass == Pass::kForward) {
    return {.run = [=] { (void)ops::attention(q, k, v, {}, {}, options); }, .flops = forward_flops};
  }
  const Tensor dy = normal_values({B, T, H, D}, dtype, device);
  const Tensor dentropy = pass == Pass::kForwardBackwardEntropy
                              ? normal_values({B, H, T}, Dtype::kF32, device)
                              : Tensor();
  const Heads gradients(Tensor::empty(qkv.fused_BTHD.shape(), dtype, device));
  return {.run =
              [=] {
                const ops::AttentionResult result = ops::attention(q, k, v, {}, {}, options);
                (void)ops::attention_backward(
                    dy, dentropy, {}, q, k, v, {}, {}, result, options,
                    {gradients.part(0), gradients.part(1), gradients.part(2), {}, {}});
              },
          .flops = 3.5 * forward_flops};
}

// What a monitor asks of an observed step: a dot product a row, or one more pass over the scores.
MicroWork probe(Device device, const AttentionShape& shape, bool spread, Dtype dtype) {
  const auto [B, H, T, D, causal, dtypes] = shape;
  const Heads qkv(normal_values({B, T, 3 * H, D}, dtype, device));
  const Tensor q = qkv.part(0);
  const Tensor k = qkv.part(1);
  ops::AttentionOptions options;
  options.mask.causal = causal;
  const Tensor lse = ops::attention(q, k, qkv.part(2), {}, {}, options).lse_BHT;
  const double rows = static_cast<double>(B * H * T) * static_cast<double>(D);
  MicroWork work;
  work.run = [=] { (void)ops::attention_probe(q, k, {}, {}, lse, options, spread); };
  if (spread) {
    work.flops = (causal ? 1.0 : 2.0) * rows * static_cast<double>(T);
  } else {
    work.bytes = rows * static_cast<double>(size_of(dtype));
  }
  return work;
}

void add_attention(BenchmarkList& list) {
  const Device device = list.device();
  const auto add = [&](std::string_view name, Pass pass, ops::AttentionEngine engine) {
    for (const AttentionShape& shape : list.shapes().attention) {
      for (const Dtype dtype : shape.dtypes) {
        if (engine == ops::AttentionEngine::kOwn || dtype == Dtype::kBf16) {
          list.add(concat(name, "/B", shape.B, "_H", shape.H, "_T", shape.T, "_D", shape.D,
                          shape.causal ? "/causal" : "/full"),
                   dtype, [=] { return attention(device, shape, pass, dtype, engine); });
        }
      }
    }
  };
  add("attention/forward", Pass::kForward, ops::AttentionEngine::kOwn);
  add("attention/forward_backward", Pass::kForwardBackward, ops::AttentionEngine::kOwn);
  add("attention/forward_backward_entropy", Pass::kForwardBackwardEntropy,
      ops::AttentionEngine::kOwn);
  for (const AttentionShape& shape : list.shapes().attention) {
    for (const Dtype dtype : shape.dtypes) {
      for (const bool spread : {false, true}) {
        list.add(
            concat(spread ? "attention_probe/spread" : "attention_probe/first", "/B", shape.B, "_H",
                   shape.H, "_T", shape.T, "_D", shape.D, shape.causal ? "/causal" : "/full"),
            dtype, [=] { return probe(device, shape, spread, dtype); });
      }
    }
  }
  // The other engine, which knows no entropy, where it can run.
  if (device != kCpu && ops::cudnn_attention_missing().empty()) {
    add("cudnn/forward", Pass::kForward, ops::AttentionEngine::kCudnn);
    add("cudnn/forward_backward", Pass::kForwardBackward, ops::AttentionEngine::kCudnn);
  }
}

CLS_BENCHMARKS("attention", add_attention);

}  // namespace
}  // namespace clausius
