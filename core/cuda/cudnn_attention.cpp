// SPDX-License-Identifier: Apache-2.0
// Attention and its gradient as cuDNN graphs, in the form that its fused engines know: products, masks and the softmax written out.
#if __has_include(<cudnn.h>)
#include <array>
#include <compare>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/cudnn_graph.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "core/ops/attention/attention_cudnn.h"

// Legend: B batch, H query heads, G key/value heads, T queries, S keys, D head size of q and k, E of v.
namespace clausius::cuda {
namespace {

using Problem = ops::CudnnAttentionProblem;

// Versions before 9.10 want a number below every logit; up to 9.15.0 the gradient needs to be told of keys past the last tile of 128.
constexpr std::int64_t kTakesInfinity = 91000;
constexpr std::int64_t kKnowsOddLengths = 91501;

/// Rows of heads of one tensor, as cuDNN sees it.
struct Rows {
  CudnnSizes sizes{};
  CudnnSizes strides{};
  auto operator<=>(const Rows&) const = default;  // NOLINT(modernize-use-nullptr)

  Rows() = default;
  /// `tensor` [B, heads, rows, width], or [B, rows, heads, width] with `head_axis` 2.
  Rows(const Tensor& tensor, int head_axis)
      : sizes{tensor.size(0), tensor.size(head_axis), tensor.size(3 - head_axis), tensor.size(3)},
        strides{tensor.stride(0), tensor.stride(head_axis), tensor.stride(3 - head_axis), 1} {}

  [[nodiscard]] Rows transposed() const {
    Rows flipped = *this;
    std::swap(flipped.sizes[2], flipped.sizes[3]);
    std::swap(flipped.strides[2], flipped.strides[3]);
    return flipped;
  }
};

/// What a plan depends on.
struct Key {
  Problem problem;
  Rows q, k, v, y, dy, dq, dk, dv;  // the last four of the gradient alone
  int device = 0;
  auto operator<=>(const Key&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// Numbers that graphs read from host memory when they run.
struct Numbers {
  float scale;
  float nothing;  // a masked logit
  float one = 1.0F;
};

Numbers numbers_of(const Problem& p) {
  return {.scale = static_cast<float>(p.scale),
          .nothing = cudnn().version < kTakesInfinity ? std::numeric_limits<float>::lowest()
                                                      : -std::numeric_limits<float>::infinity()};
}

CudnnSizes row_sizes(const Problem& p) {
  return {p.B, p.H, p.T, 1};
}
CudnnSizes score_sizes(const Problem& p) {
  return {p.B, p.H, p.T, p.S};
}

CudnnValue rows_of(CudnnGraph& graph, const Rows& rows) {
  return graph.memory(CUDNN_DATA_BFLOAT16, rows.sizes, rows.strides);
}
CudnnValue statistics(CudnnGraph& graph, const Problem& p) {
  return graph.memory(CUDNN_DATA_FLOAT, row_sizes(p), {p.H * p.T, p.T, 1, 1});
}

// Where `mask` is false, `nothing`.
CudnnValue masked(CudnnGraph& graph,
                  const CudnnValue& scores,
                  const CudnnValue& nothing,
                  const CudnnValue& mask) {
  return graph.pointwise(
      {.mode = CUDNN_POINTWISE_BINARY_SELECT, .x = scores, .b = nothing, .t = mask});
}

CudnnValue index_of(CudnnGraph& graph,
                    const CudnnValue& scores,
                    std::int64_t axis,
                    cudnnDataType_t compute) {
  return graph.pointwise({.mode = CUDNN_POINTWISE_GEN_INDEX,
                          .x = scores,
                          .type = CUDNN_DATA_INT32,
                          .compute = compute,
                          .axis = axis});
}

CudnnValue truth(CudnnGraph& graph,
                 cudnnPointwiseMode_t mode,
                 const CudnnValue& x,
                 const CudnnValue& b) {
  return graph.pointwise(
      {.mode = mode, .x = x, .b = b, .type = CUDNN_DATA_BOOLEAN, .compute = CUDNN_DATA_BOOLEAN});
}

CudnnValue causal(CudnnGraph& graph, const CudnnValue& scores, const CudnnValue& nothing) {
  const CudnnValue row = index_of(graph, scores, 2, CUDNN_DATA_FLOAT);
  const CudnnValue key = index_of(graph, scores, 3, CUDNN_DATA_FLOAT);
  return masked(graph, scores, nothing, truth(graph, CUDNN_POINTWISE_CMP_GE, row, key));
}

/// Queries and keys that exist in each row of the batch, i32 [B, 1, 1, 1], where cuDNN has to be told.
struct Lengths {
  CudnnValue queries;
  CudnnValue keys;
};

CudnnValue padded(CudnnGraph& graph,
                  const CudnnValue& scores,
                  const CudnnValue& nothing,
                  const Lengths& exist) {
  const CudnnValue row = index_of(graph, scores, 2, CUDNN_DATA_INT32);
  const CudnnValue key = index_of(graph, scores, 3, CUDNN_DATA_INT32);
  const CudnnValue row_exists = truth(graph, CUDNN_POINTWISE_CMP_LT, row, exist.queries);
  const CudnnValue key_exists = truth(graph, CUDNN_POINTWISE_CMP_LT, key, exist.keys);
  return masked(graph, scores, nothing,
                truth(graph, CUDNN_POINTWISE_LOGICAL_AND, row_exists, key_exists));
}

CudnnValue product(CudnnGraph& graph, const CudnnValue& x, const CudnnValue& b) {
  return graph.pointwise({.mode = CUDNN_POINTWISE_MUL, .x = x, .b = b});
}
CudnnValue difference(CudnnGraph& graph, const CudnnValue& x, const CudnnValue& b) {
  return graph.pointwise({.mode = CUDNN_POINTWISE_SUB, .x = x, .b = b});
}
CudnnValue exponential(CudnnGraph& graph, const CudnnValue& x) {
  return graph.pointwise({.mode = CUDNN_POINTWISE_EXP, .x = x});
}

// ---- forward ----

/// A plan and the values whose memory its run names.
struct Forward {
  CudnnValue q, k, v, y, lse, scale, nothing;
  std::optional<CudnnPlan> plan = {};
};

// p, rounded to bf16, of scaled and masked scores; writes lse.
CudnnValue softmax(CudnnGraph& graph,
                   const Problem& p,
                   const CudnnValue& scores,
                   const CudnnValue& lse) {
  const CudnnValue max = graph.temporary(CUDNN_DATA_FLOAT, row_sizes(p));
  graph.reduce(CUDNN_REDUCE_TENSOR_MAX, scores, max);
  const CudnnValue exponentials = exponential(graph, difference(graph, scores, max));
  const CudnnValue sum = graph.temporary(CUDNN_DATA_FLOAT, row_sizes(p));
  graph.reduce(CUDNN_REDUCE_TENSOR_ADD, exponentials, sum);
  const CudnnValue log = graph.pointwise({.mode = CUDNN_POINTWISE_LOG, .x = sum});
  graph.pointwise({.mode = CUDNN_POINTWISE_ADD, .x = max, .b = log, .out = lse});
  return graph.pointwise(
      {.mode = CUDNN_POINTWISE_DIV, .x = exponentials, .b = sum, .type = CUDNN_DATA_BFLOAT16});
}

Forward make_forward(const Key& key) {
  const Problem& p = key.problem;
  CudnnGraph graph;
  Forward made{.q = rows_of(graph, key.q),
               .k = rows_of(graph, key.k.transposed()),
               .v = rows_of(graph, key.v),
               .y = rows_of(graph, key.y),
               .lse = statistics(graph, p),
               .scale = graph.number(),
               .nothing = graph.number()};
  CudnnValue scores = graph.temporary(CUDNN_DATA_FLOAT, score_sizes(p));
  graph.matmul(made.q, made.k, scores);
  scores = product(graph, scores, made.scale);
  if (p.causal) {
    scores = causal(graph, scores, made.nothing);
  }
  graph.matmul(softmax(graph, p, scores, made.lse), made.v, made.y);
  made.plan = std::move(graph).plan({DeviceKind::kCuda, key.device});
  return made;
}

// ---- gradient ----

struct Backward {
  CudnnValue q, k, v, y, dy, lse, dq, dk, dv;
  CudnnValue dots;  // <dy, y> of each row, between two of the engine's kernels
  CudnnValue scale, nothing, one;
  std::optional<Lengths> exist = {};
  std::optional<CudnnPlan> plan = {};
};

// dots = sum of dy y over a row.
void add_dots(CudnnGraph& graph, const Problem& p, const Backward& b) {
  const CudnnValue sums = graph.temporary(CUDNN_DATA_FLOAT, row_sizes(p));
  graph.reduce(CUDNN_REDUCE_TENSOR_ADD, product(graph, b.dy, b.y), sums);
  graph.pointwise({.mode = CUDNN_POINTWISE_MUL, .x = sums, .b = b.one, .out = b.dots});
}

// p = exp(s - lse), masked.
CudnnValue probabilities(CudnnGraph& graph, const Problem& p, const Backward& b) {
  CudnnValue scores = graph.temporary(CUDNN_DATA_FLOAT, score_sizes(p));
  const CudnnMatmulSizes sizes =
      b.exist ? CudnnMatmulSizes{.m = b.exist->queries, .n = b.exist->keys} : CudnnMatmulSizes{};
  graph.matmul(b.q, b.k, scores, sizes);
  scores = product(graph, scores, b.scale);
  if (b.exist) {
    scores = padded(graph, scores, b.nothing, *b.exist);
  }
  scores = difference(graph, scores, b.lse);
  if (b.exist && cudnn().version < kTakesInfinity) {  // lse of a row that is not there is no number
    scores = padded(graph, scores, b.nothing, *b.exist);
  }
  return exponential(graph, p.causal ? causal(graph, scores, b.nothing) : scores);
}

// to = weights^T rows, summed over the query heads that share a key head.
void add_key_gradient(CudnnGraph& graph,
                      const Problem& p,
                      const Backward& b,
                      const CudnnValue& weights,
                      const CudnnValue& rows,
                      const CudnnValue& to) {
  const CudnnValue flipped = graph.temporary(CUDNN_DATA_BFLOAT16, {p.B, p.H, p.S, p.T},
                                             CudnnSizes{p.H * p.T * p.S, p.T * p.S, 1, p.S});
  graph.reshape(weights, flipped);
  const CudnnMatmulSizes sizes =
      b.exist ? CudnnMatmulSizes{.m = b.exist->keys, .k = b.exist->queries} : CudnnMatmulSizes{};
  if (p.H == p.G) {
    return graph.matmul(flipped, rows, to, sizes);
  }
  const CudnnValue of_heads = graph.temporary(CUDNN_DATA_BFLOAT16, {p.B, p.H, p.S, rows.sizes[3]});
  graph.matmul(flipped, rows, of_heads, sizes);
  graph.reduce(CUDNN_REDUCE_TENSOR_ADD, of_heads, to);
}

// ds = scale p (dy v^T - dots).
CudnnValue score_gradients(CudnnGraph& graph,
                           const Problem& p,
                           const Backward& b,
                           const CudnnValue& probability) {
  const CudnnValue dp = graph.temporary(CUDNN_DATA_FLOAT, score_sizes(p));
  const CudnnMatmulSizes sizes =
      b.exist ? CudnnMatmulSizes{.m = b.exist->queries, .n = b.exist->keys} : CudnnMatmulSizes{};
  graph.matmul(b.dy, b.v, dp, sizes);
  const CudnnValue ds = product(graph, difference(graph, dp, b.dots), probability);
  return product(graph, ds, b.scale);
}

// dq straight from its product, not through an f32 tensor, which would let blocks add to it in any order: asked like this, the engine
// keeps ds in memory (2 B H T S bytes) and its bits repeat.
void add_query_gradient(CudnnGraph& graph,
                        const Key& key,
                        const Backward& b,
                        const CudnnValue& ds) {
  const CudnnValue k = graph.temporary(CUDNN_DATA_BFLOAT16, key.k.sizes, key.k.strides);
  graph.reshape(b.k, k);
  const CudnnMatmulSizes sizes =
      b.exist ? CudnnMatmulSizes{.m = b.exist->queries, .k = b.exist->keys} : CudnnMatmulSizes{};
  graph.matmul(ds, k, b.dq, sizes);
}

Backward make_backward(const Key& key) {
  const Problem& p = key.problem;
  CudnnGraph graph;
  Backward made{.q = rows_of(graph, key.q),
                .k = rows_of(graph, key.k.transposed()),
                .v = rows_of(graph, key.v.transposed()),
                .y = rows_of(graph, key.y),
                .dy = rows_of(graph, key.dy),
                .lse = statistics(graph, p),
                .dq = rows_of(graph, key.dq),
                .dk = rows_of(graph, key.dk),
                .dv = rows_of(graph, key.dv),
                .dots = statistics(graph, p),
                .scale = graph.number(),
                .nothing = graph.number(),
                .one = graph.number()};
  if (p.S % 128 != 0 && cudnn().version < kKnowsOddLengths) {
    const CudnnSizes each{p.B, 1, 1, 1};
    made.exist = {graph.memory(CUDNN_DATA_INT32, each, {1, 1, 1, 1}),
                  graph.memory(CUDNN_DATA_INT32, each, {1, 1, 1, 1})};
  }
  add_dots(graph, p, made);
  const CudnnValue probability = probabilities(graph, p, made);
  add_key_gradient(graph, p, made, probability, made.dy, made.dv);
  const CudnnValue ds = score_gradients(graph, p, made, probability);
  add_key_gradient(graph, p, made, ds, made.q, made.dk);
  add_query_gradient(graph, key, made, ds);
  made.plan = std::move(graph).plan({DeviceKind::kCuda, key.device});
  return made;
}

// ---- the op's kernels ----

bool takes_vectors(const Tensor& tensor) {
  bool whole = reinterpret_cast<std::uintptr_t>(tensor.raw()) % 16 == 0;
  for (int axis = 0; axis < 3; ++axis) {
    whole = whole && tensor.stride(axis) % 8 == 0;
  }
  return whole;
}
Tensor with_vectors(const Tensor& tensor) {
  return takes_vectors(tensor) ? tensor : tensor.clone();
}

void* place(const Tensor& tensor) {
  return tensor.raw();
}

// One plan for each key, kept for the life of the process.
template <class Program>
const Program& program_of(const Key& key, Program (*make)(const Key&)) {
  static std::mutex mutex;
  static auto& programs = *new std::map<Key, Program>;
  const std::lock_guard lock(mutex);
  auto found = programs.find(key);
  if (found == programs.end()) {
    found = programs.emplace(key, make(key)).first;
  }
  return found->second;
}

void forward(
    const Tensor& q, const Tensor& k, const Tensor& v, const Problem& p, Tensor& y, Tensor& lse) {
  if (p.B * p.H * p.T * p.S == 0) {
    y.fill(0.0);
    return lse.fill(-std::numeric_limits<double>::infinity());
  }
  const std::array in = {with_vectors(q), with_vectors(k), with_vectors(v)};
  const Device device = q.device();
  const Forward& f = program_of({.problem = p,
                                 .q = Rows(in[0], 1),
                                 .k = Rows(in[1], 1),
                                 .v = Rows(in[2], 1),
                                 .y = Rows(y, 2),
                                 .dy = {},
                                 .dq = {},
                                 .dk = {},
                                 .dv = {},
                                 .device = device.index},
                                make_forward);
  Numbers numbers = numbers_of(p);
  std::vector<CudnnBinding> memory{{f.q, place(in[0])}, {f.k, place(in[1])},
                                   {f.v, place(in[2])}, {f.y, place(y)},
                                   {f.lse, place(lse)}, {f.scale, &numbers.scale}};
  if (p.causal) {
    memory.emplace_back(f.nothing, &numbers.nothing);
  }
  f.plan->run(device, memory);
}

/// A gradient where it is wanted, or beside it where cuDNN could not write there.
class Output {
 public:
  explicit Output(Tensor& wanted)
      : wanted_(wanted),
        written_(takes_vectors(wanted)
                     ? wanted
                     : Tensor::empty(wanted.shape(), wanted.dtype(), wanted.device())) {}
  [[nodiscard]] const Tensor& tensor() const { return written_; }
  void finish() {
    if (written_.raw() != wanted_.raw()) {
      wanted_.copy_from(written_);
    }
  }

 private:
  Tensor& wanted_;
  Tensor written_;
};

void run_backward(const Backward& b,
                  const Problem& p,
                  const std::array<Tensor, 5>& in,
                  const Tensor& lse,
                  const std::array<Output, 3>& out) {
  const Device device = lse.device();
  const Tensor dots = Tensor::empty(lse.shape(), Dtype::kF32, device);
  Numbers numbers = numbers_of(p);
  std::vector<CudnnBinding> memory{{b.dy, place(in[0])},
                                   {b.q, place(in[1])},
                                   {b.k, place(in[2])},
                                   {b.v, place(in[3])},
                                   {b.y, place(in[4])},
                                   {b.lse, place(lse)},
                                   {b.dots, place(dots)},
                                   {b.dq, place(out[0].tensor())},
                                   {b.dk, place(out[1].tensor())},
                                   {b.dv, place(out[2].tensor())},
                                   {b.scale, &numbers.scale},
                                   {b.one, &numbers.one}};
  Tensor queries;
  Tensor keys;
  if (b.exist) {
    queries = Tensor::empty({p.B}, Dtype::kI32, device);
    queries.fill(static_cast<double>(p.T));
    keys = Tensor::empty({p.B}, Dtype::kI32, device);
    keys.fill(static_cast<double>(p.S));
    memory.emplace_back(b.exist->queries, place(queries));
    memory.emplace_back(b.exist->keys, place(keys));
  }
  if (b.exist || p.causal) {
    memory.emplace_back(b.nothing, &numbers.nothing);
  }
  b.plan->run(device, memory);
}

void backward(const Tensor& dy,
              const Tensor& q,
              const Tensor& k,
              const Tensor& v,
              const Tensor& y,
              const Tensor& lse,
              const Problem& p,
              Tensor& dq,
              Tensor& dk,
              Tensor& dv) {
  if (p.B * p.H * p.T * p.S == 0) {
    for (Tensor* gradient : {&dq, &dk, &dv}) {
      gradient->fill(0.0);
    }
    return;
  }
  const std::array in = {with_vectors(dy), with_vectors(q), with_vectors(k), with_vectors(v),
                         with_vectors(y)};
  std::array out = {Output(dq), Output(dk), Output(dv)};
  const Backward& b = program_of({.problem = p,
                                  .q = Rows(in[1], 1),
                                  .k = Rows(in[2], 1),
                                  .v = Rows(in[3], 1),
                                  .y = Rows(in[4], 2),
                                  .dy = Rows(in[0], 2),
                                  .dq = Rows(out[0].tensor(), 1),
                                  .dk = Rows(out[1].tensor(), 1),
                                  .dv = Rows(out[2].tensor(), 1),
                                  .device = q.device().index},
                                 make_backward);
  run_backward(b, p, in, lse.contiguous(), out);
  for (Output& gradient : out) {
    gradient.finish();
  }
}

std::string missing() {
  if (std::string why = cudnn_missing(); !why.empty()) {
    return why;
  }
  if (cudnn().version / 100 == 910 && cudnn().version < 91002) {
    return "cuDNN 9.10.0 and 9.10.1 have wrong gradients of attention; 9.10.2 has not";
  }
  int major = 0;
  CLS_CUDA_CHECK(
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, selected_device()));
  return major == 8 || major == 9
             ? std::string()
             : concat("a device of compute capability ", major,
                      ".x; cuDNN's gradient is known to repeat its bits on 8.x "
                      "and 9.x");
}

[[maybe_unused]] const bool registered = [] {
  ops::cudnn_attention() = {.missing = missing, .forward = forward, .backward = backward};
  return true;
}();

}  // namespace
}  // namespace clausius::cuda
#endif
