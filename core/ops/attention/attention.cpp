// SPDX-License-Identifier: Apache-2.0
// Checks, allocation and dispatch of attention.
#include "core/ops/attention/attention.h"

#include <cmath>
#include <string_view>
#include <utility>

#include "core/device_backend.h"
#include "core/dry_run.h"
#include "core/error.h"
#include "core/ops/attention/attention_cudnn.h"
#include "core/ops/attention/attention_dropout.h"
#include "core/ops/attention/attention_probe.h"
#include "core/ops/attention/attention_probe_reference.h"
#include "core/ops/attention/attention_reference.h"

namespace clausius::ops {

KernelTable<AttentionForward>& attention_forward_kernels() {
  static KernelTable<AttentionForward> table("attention", attention_forward_reference<double>,
                                             attention_forward_reference<float>);
  return table;
}

KernelTable<AttentionBackward>& attention_backward_kernels() {
  static KernelTable<AttentionBackward> table("attention_backward",
                                              attention_backward_reference<double>,
                                              attention_backward_reference<float>);
  return table;
}

AttentionProbeKernels& attention_probe_kernels() {
  static AttentionProbeKernels table("attention_probe", attention_probe_reference<double>,
                                     attention_probe_reference<float>);
  return table;
}

namespace {

Dtype statistics_type(Dtype dtype) {
  return dtype == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32;
}

void check_tensor(const Tensor& tensor, std::string_view name, const Shape& shape, Dtype dtype) {
  CLS_CHECK(tensor.shape() == shape, ShapeError, name, " has shape ", tensor.shape(), "; expected ",
            shape);
  CLS_CHECK(tensor.dtype() == dtype, DtypeError, name, " is ", tensor.dtype(), "; expected ",
            dtype);
  CLS_CHECK(tensor.last_is_dense(), ShapeError, name, " has strides ", tensor.strides(),
            "; expected a dense last dimension");
}

void check_heads(const Tensor& q, const Tensor& k, const Tensor& v) {
  CLS_CHECK(q.rank() == 4 && k.rank() == 4 && v.rank() == 4, ShapeError, "q, k, v have shapes ",
            q.shape(), ", ", k.shape(), ", ", v.shape(),
            "; expected [B, H, T, D], [B, G, S, D], [B, G, S, E]");
  CLS_CHECK(is_floating(q.dtype()), DtypeError, "q is ", q.dtype(), "; expected a floating type");
  CLS_CHECK(q.size(3) > 0 && v.size(3) > 0, ShapeError, "head sizes of q and v are ", q.size(3),
            " and ", v.size(3), "; expected at least 1");
  CLS_CHECK(k.size(1) > 0 ? q.size(1) % k.size(1) == 0 : q.size(1) == 0, ShapeError, k.size(1),
            " key heads do not divide ", q.size(1), " query heads");
  check_tensor(q, "q", q.shape(), q.dtype());
  check_tensor(k, "k", {q.size(0), k.size(1), k.size(2), q.size(3)}, q.dtype());
  check_tensor(v, "v", {q.size(0), k.size(1), k.size(2), v.size(3)}, q.dtype());
}

void check_head_parameters(const Tensor& scale,
                           const Tensor& sink,
                           const AttentionProblem& problem,
                           Dtype dtype) {
  if (scale.defined()) {
    check_tensor(scale, "scale", scale.rank() == 1 ? Shape{problem.H} : Shape{problem.H, problem.T},
                 dtype);
  }
  if (sink.defined()) {
    check_tensor(sink, "sink", {problem.H}, dtype);
  }
}

void set_dropout(const AttentionOptions& options, AttentionProblem& problem) {
  CLS_CHECK(options.dropout >= 0 && options.dropout < 1, ConfigError, "dropout ", options.dropout,
            "; expected 0 <= dropout < 1");
  if (options.dropout == 0) {
    return;
  }
  CLS_CHECK(options.dropout_samples.defined(), ConfigError,
            "dropout needs dropout_samples, the global sample number of each row");
  check_tensor(options.dropout_samples, "dropout_samples", {problem.B}, Dtype::kI64);
  CLS_CHECK(problem.H * problem.T * dropout_blocks_per_row(problem.S) <= std::int64_t{1} << 32,
            UnsupportedError, "dropout on ", problem.H, " x ", problem.T, " x ", problem.S,
            " probabilities: a sample has words for 2^34");
  problem.dropout = options.dropout;
  problem.dropout_stream = options.dropout_stream;
}

/// What a problem points into.
struct ProblemMemory {
  AttentionBounds bounds;
  Tensor dropout_samples;
};

/// `memory` must outlive the problem.
AttentionProblem make_problem(const Tensor& q,
                              const Tensor& k,
                              const Tensor& v,
                              const Tensor& scale,
                              const Tensor& sink,
                              const AttentionOptions& options,
                              ProblemMemory& memory) {
  check_heads(q, k, v);
  AttentionProblem problem;
  problem.B = q.size(0);
  problem.H = q.size(1);
  problem.G = k.size(1);
  problem.T = q.size(2);
  problem.S = k.size(2);
  problem.D = q.size(3);
  problem.E = v.size(3);
  check_head_parameters(scale, sink, problem, statistics_type(q.dtype()));
  problem.scale = options.scale.value_or(1 / std::sqrt(static_cast<double>(problem.D)));
  CLS_CHECK(std::isfinite(problem.scale), ConfigError, "scale ", problem.scale,
            "; expected a finite number");
  CLS_CHECK(!options.logit_softcap || *options.logit_softcap > 0, ConfigError, "logit_softcap ",
            options.logit_softcap.value_or(0), "; expected more than 0");
  // An infinite cap is no cap.
  const double cap = options.logit_softcap.value_or(0);
  problem.softcap = std::isinf(cap) ? 0 : cap;
  set_dropout(options, problem);
  if (problem.dropout > 0) {
    refuse_in_recording(q.device(), "dropout draws other numbers in every step");
    memory.dropout_samples = options.dropout_samples.to(q.device());
    problem.dropout_samples = memory.dropout_samples.data<std::int64_t>();
  }
  memory.bounds = attention_bounds(options.mask, problem.B, problem.T, problem.S, q.device());
  problem.begin_BT = memory.bounds.begin_BT.data<std::int32_t>();
  problem.end_BT = memory.bounds.end_BT.data<std::int32_t>();
  return problem;
}

void make_gradient(Tensor& gradient, std::string_view name, const Tensor& input) {
  if (gradient.defined()) {
    return check_tensor(gradient, name, input.shape(), input.dtype());
  }
  if (input.rank() == 4) {
    const Shape& shape = input.shape();
    gradient =
        Tensor::empty({shape[0], shape[2], shape[1], shape[3]}, input.dtype(), input.device())
            .transpose(1, 2);
  } else {
    gradient = Tensor::empty(input.shape(), input.dtype(), input.device());
  }
}

AttentionResult cudnn_forward(const Tensor& q,
                              const Tensor& k,
                              const Tensor& v,
                              const Tensor& scale,
                              const Tensor& sink,
                              const AttentionOptions& options) {
  check_heads(q, k, v);
  const CudnnAttentionProblem p = cudnn_attention_problem(q, k, v, scale, sink, options);
  AttentionResult result{.y_BTHE = Tensor::empty({p.B, p.T, p.H, p.E}, q.dtype(), q.device()),
                         .entropy_BHT = {},
                         .lse_BHT = Tensor::empty({p.B, p.H, p.T}, Dtype::kF32, q.device()),
                         .max_logit_BH = {}};
  if (!in_dry_run()) {
    cudnn_attention().forward(q, k, v, p, result.y_BTHE, result.lse_BHT);
  }
  return result;
}

AttentionGradients cudnn_backward(const Tensor& dy_BTHE,
                                  const Tensor& q,
                                  const Tensor& k,
                                  const Tensor& v,
                                  const AttentionResult& result,
                                  const CudnnAttentionProblem& p,
                                  AttentionGradients into) {
  const Tensor dy =
      dy_BTHE.defined() ? dy_BTHE : Tensor::zeros({p.B, p.T, p.H, p.E}, q.dtype(), q.device());
  check_tensor(dy, "dy", {p.B, p.T, p.H, p.E}, q.dtype());
  check_tensor(result.y_BTHE, "y", dy.shape(), q.dtype());
  check_tensor(result.lse_BHT, "lse", {p.B, p.H, p.T}, Dtype::kF32);
  make_gradient(into.dq_BHTD, "dq", q);
  make_gradient(into.dk_BGSD, "dk", k);
  make_gradient(into.dv_BGSE, "dv", v);
  if (in_dry_run()) {  // the engine's gradients of the scores, for the accounts
    (void)Tensor::empty({2 * p.B * p.H * p.T * p.S}, Dtype::kU8, q.device());
  } else {
    cudnn_attention().backward(dy, q, k, v, result.y_BTHE, result.lse_BHT, p, into.dq_BHTD,
                               into.dk_BGSD, into.dv_BGSE);
  }
  return into;
}

}  // namespace

AttentionResult attention(const Tensor& q_BHTD,
                          const Tensor& k_BGSD,
                          const Tensor& v_BGSE,
                          const Tensor& scale,
                          const Tensor& sink,
                          const AttentionOptions& options) {
  const ErrorFrame frame("attention");
  if (options.engine == AttentionEngine::kCudnn) {
    return cudnn_forward(q_BHTD, k_BGSD, v_BGSE, scale, sink, options);
  }
  ProblemMemory memory;
  const AttentionProblem p = make_problem(q_BHTD, k_BGSD, v_BGSE, scale, sink, options, memory);
  const Device device = q_BHTD.device();
  const Dtype statistics = statistics_type(q_BHTD.dtype());
  AttentionResult result{.y_BTHE = Tensor::empty({p.B, p.T, p.H, p.E}, q_BHTD.dtype(), device),
                         .entropy_BHT = Tensor::empty({p.B, p.H, p.T}, statistics, device),
                         .lse_BHT = Tensor::empty({p.B, p.H, p.T}, statistics, device),
                         .max_logit_BH = Tensor::empty({p.B, p.H}, statistics, device)};
  attention_forward_kernels().run(device, q_BHTD.dtype(), q_BHTD, k_BGSD, v_BGSE, scale, sink, p,
                                  result.y_BTHE, result.entropy_BHT, result.lse_BHT,
                                  result.max_logit_BH);
  return result;
}

AttentionGradients attention_backward(const Tensor& dy_BTHE,
                                      const Tensor& dentropy_BHT,
                                      const Tensor& dlse_BHT,
                                      const Tensor& q_BHTD,
                                      const Tensor& k_BGSD,
                                      const Tensor& v_BGSE,
                                      const Tensor& scale,
                                      const Tensor& sink,
                                      const AttentionResult& result,
                                      const AttentionOptions& options,
                                      AttentionGradients into) {
  const ErrorFrame frame("attention_backward");
  if (options.engine == AttentionEngine::kCudnn) {
    CLS_CHECK(!dentropy_BHT.defined() && !dlse_BHT.defined(), ConfigError,
              "engine cudnn: it has no gradient for the entropy and lse; use engine auto");
    check_heads(q_BHTD, k_BGSD, v_BGSE);
    return cudnn_backward(dy_BTHE, q_BHTD, k_BGSD, v_BGSE, result,
                          cudnn_attention_problem(q_BHTD, k_BGSD, v_BGSE, scale, sink, options),
                          std::move(into));
  }
  ProblemMemory memory;
  const AttentionProblem p = make_problem(q_BHTD, k_BGSD, v_BGSE, scale, sink, options, memory);
  const Dtype dtype = q_BHTD.dtype();
  const Dtype statistics = statistics_type(dtype);
  const Shape rows{p.B, p.H, p.T};
  const Tensor dy =
      dy_BTHE.defined() ? dy_BTHE : Tensor::zeros({p.B, p.T, p.H, p.E}, dtype, q_BHTD.device());
  check_tensor(dy, "dy", {p.B, p.T, p.H, p.E}, dtype);
  check_tensor(result.y_BTHE, "y", dy.shape(), dtype);
  check_tensor(result.entropy_BHT, "entropy", rows, statistics);
  check_tensor(result.lse_BHT, "lse", rows, statistics);
  for (const auto& [gradient, name] :
       {std::pair(&dentropy_BHT, "dentropy"), std::pair(&dlse_BHT, "dlse")}) {
    if (gradient->defined()) {
      check_tensor(*gradient, name, rows, statistics);
    }
  }
  make_gradient(into.dq_BHTD, "dq", q_BHTD);
  make_gradient(into.dk_BGSD, "dk", k_BGSD);
  make_gradient(into.dv_BGSE, "dv", v_BGSE);
  if (scale.defined()) {
    make_gradient(into.dscale, "dscale", scale);
  }
  if (sink.defined()) {
    make_gradient(into.dsink, "dsink", sink);
  }
  attention_backward_kernels().run(q_BHTD.device(), dtype, dy, dentropy_BHT, dlse_BHT, q_BHTD,
                                   k_BGSD, v_BGSE, scale, sink, result.y_BTHE, result.entropy_BHT,
                                   result.lse_BHT, p, into.dq_BHTD, into.dk_BGSD, into.dv_BGSE,
                                   into.dscale, into.dsink);
  return into;
}

AttentionProbe attention_probe(const Tensor& q_BHTD,
                               const Tensor& k_BGSD,
                               const Tensor& scale,
                               const Tensor& sink,
                               const Tensor& lse_BHT,
                               const AttentionOptions& options,
                               bool spread) {
  const ErrorFrame frame("attention_probe");
  CLS_CHECK(options.engine == AttentionEngine::kOwn, UnsupportedError,
            "engine cudnn does not say what its rows attend to");
  AttentionOptions kept = options;
  kept.dropout = 0;  // entropies and probabilities are those before it
  ProblemMemory memory;
  const AttentionProblem p = make_problem(q_BHTD, k_BGSD, k_BGSD, scale, sink, kept, memory);
  const Dtype statistics = statistics_type(q_BHTD.dtype());
  check_tensor(lse_BHT, "lse", {p.B, p.H, p.T}, statistics);
  AttentionMask documents = options.mask;
  documents.window.reset();
  const Device device = q_BHTD.device();
  const Tensor begin_BT = attention_bounds(documents, p.B, p.T, p.S, device).begin_BT;
  AttentionProbe result{
      .spread_BHT = spread ? Tensor::empty({p.B, p.H, p.T}, statistics, device) : Tensor(),
      .first_BHT = Tensor::empty({p.B, p.H, p.T}, statistics, device)};
  if (result.first_BHT.numel() > 0) {
    attention_probe_kernels().run(device, q_BHTD.dtype(), q_BHTD, k_BGSD, scale, sink, lse_BHT,
                                  begin_BT, p, result.spread_BHT, result.first_BHT);
  }
  return result;
}

}  // namespace clausius::ops
