// SPDX-License-Identifier: Apache-2.0
// Refuses by name what cuDNN's attention is not asked to do.
#include "core/ops/attention/attention_cudnn.h"

#include <cmath>
#include <string_view>

#include "core/device_backend.h"
#include "core/dry_run.h"
#include "core/error.h"

namespace clausius::ops {
namespace {

void refuse_if(bool refused, std::string_view option, std::string_view why) {
  CLS_CHECK(!refused, ConfigError, "engine cudnn: ", option, ": ", why,
            "; use engine auto, which is our kernel");
}

void check_options(const Tensor& scale, const Tensor& sink, const AttentionOptions& options) {
  constexpr std::string_view kUnknown = "cuDNN's attention is not asked for it";
  const AttentionMask& mask = options.mask;
  refuse_if(options.dropout > 0, "dropout", "cuDNN draws random numbers of its own");
  refuse_if(options.logit_softcap.has_value(), "logit_softcap", kUnknown);
  refuse_if(sink.defined(), "sink", kUnknown);
  refuse_if(scale.defined(), "temperature",
            "cuDNN's attention takes one scale, not one for each head or row");
  refuse_if(mask.window.has_value(), "window", kUnknown);
  refuse_if(mask.cu_seqlens.defined(), "documents that share a row", kUnknown);
  refuse_if(mask.key_lengths.defined(), "key lengths", kUnknown);
  refuse_if(mask.block_list.defined(), "a block list", kUnknown);
  refuse_if(mask.query_offset != 0, "continued sequences", kUnknown);
}

}  // namespace

CudnnAttention& cudnn_attention() {
  static CudnnAttention engine;
  return engine;
}

std::string cudnn_attention_missing() {
  if (cudnn_attention().missing == nullptr) {
    return "this build has no cuDNN";
  }
  return cuda_backend() == nullptr ? "this machine has no CUDA device"
                                   : cudnn_attention().missing();
}

CudnnAttentionProblem cudnn_attention_problem(const Tensor& q,
                                              const Tensor& k,
                                              const Tensor& v,
                                              const Tensor& scale,
                                              const Tensor& sink,
                                              const AttentionOptions& options) {
  const CudnnAttentionProblem p{
      .B = q.size(0),
      .H = q.size(1),
      .G = k.size(1),
      .T = q.size(2),
      .S = k.size(2),
      .D = q.size(3),
      .E = v.size(3),
      .scale = options.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3)))),
      .causal = options.mask.causal};
  check_options(scale, sink, options);
  refuse_if(q.dtype() != Dtype::kBf16, concat("elements of ", q.dtype()),
            "cuDNN's attention takes bf16 (precision: bf16)");
  refuse_if(!cudnn_attention_takes(p.D) || !cudnn_attention_takes(p.E),
            concat("head sizes ", p.D, " and ", p.E), "expected multiples of 8 up to 128");
  refuse_if(p.T == 1 && p.S == 1, "one query and one key", "cuDNN has no gradient for it");
  const std::string missing = cudnn_attention_missing();
  refuse_if(!missing.empty(), "device", missing);
  refuse_if(!in_dry_run() && q.device().kind != DeviceKind::kCuda, "device",
            "the run computes on the cpu (device: cuda)");
  return p;
}

}  // namespace clausius::ops
