// SPDX-License-Identifier: Apache-2.0
// Memory-bound ops over rows of activations at the sizes of the recipes, against the copy bandwidth of the same run.
#include <functional>

#include <benchmark/benchmark.h>

#include "bench/ceilings.h"
#include "core/checked.h"
#include "core/ops/accumulate/accumulate.h"
#include "core/ops/binary/binary.h"
#include "core/ops/dropout/dropout.h"
#include "core/ops/embedding/embedding.h"
#include "core/ops/gated/gated.h"
#include "core/ops/layer_norm/layer_norm.h"
#include "core/ops/reduce/reduce.h"
#include "core/ops/rms_norm/rms_norm.h"
#include "core/ops/rope/rope.h"
#include "core/ops/scale/scale.h"
#include "core/ops/softmax/softmax.h"
#include "core/random.h"

namespace clausius {
namespace {

constexpr std::int64_t kRows = 16384;
constexpr std::int64_t kWidth = 768;

// The same 4096 normal numbers again and again: drawing all of them would take longer than the benchmark.
Tensor normal(const Shape& shape, Dtype dtype) {
  constexpr std::int64_t kDrawn = 4096;
  Tensor drawn = Tensor::empty({kDrawn}, Dtype::kF32);
  fill_normal(drawn, RandomStream{.seed = 1}, 0.0, 1.0);
  Tensor x = Tensor::empty(Shape{div_ceil(shape.numel(), kDrawn), kDrawn}, dtype);
  x.copy_from(drawn.expand(x.shape()));
  return x.reshape({x.numel()}).slice(0, 0, shape.numel()).reshape(shape);
}

struct Work {
  std::function<void()> run;
  double bytes = 0;
};

// Bytes count every operand once, read or written.
double bytes_of(std::initializer_list<Tensor> tensors) {
  double bytes = 0;
  for (const Tensor& tensor : tensors) {
    bytes += static_cast<double>(tensor.bytes());
  }
  return bytes;
}

Work make_softmax(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  return {[=] { benchmark::DoNotOptimize(ops::softmax(x)); }, bytes_of({x, x})};
}
Work make_softmax_backward(Dtype dtype) {
  const Tensor y = normal({kRows, kWidth}, dtype);
  const Tensor dy = y.clone();
  return {[=] { benchmark::DoNotOptimize(ops::softmax_backward(dy, y)); }, bytes_of({dy, y, y})};
}

Work make_layer_norm(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  const Tensor gain = normal({kWidth}, Dtype::kF32);
  return {[=] { benchmark::DoNotOptimize(ops::layer_norm(x, gain, gain, 1e-5)); },
          bytes_of({x, x})};
}
Work make_layer_norm_backward(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  const Tensor gain = normal({kWidth}, Dtype::kF32);
  const Tensor dy = x.clone();
  const ops::LayerNormOutput out = ops::layer_norm(x, gain, gain, 1e-5);
  return {
      [=] {
        benchmark::DoNotOptimize(ops::layer_norm_backward(dy, x, gain, out.mean, out.rstd, true));
      },
      bytes_of({x, x, x})};
}

Work make_rms_norm(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  const Tensor gain = normal({kWidth}, Dtype::kF32);
  return {[=] { benchmark::DoNotOptimize(ops::rms_norm(x, gain, 1e-5)); }, bytes_of({x, x})};
}
Work make_rms_norm_backward(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  const Tensor gain = normal({kWidth}, Dtype::kF32);
  const Tensor dy = x.clone();
  const ops::RmsNormOutput out = ops::rms_norm(x, gain, 1e-5);
  return {[=] { benchmark::DoNotOptimize(ops::rms_norm_backward(dy, x, gain, out.rstd)); },
          bytes_of({x, x, x})};
}

Work make_swiglu(Dtype dtype) {
  const Tensor x = normal({kRows, 2 * kWidth}, dtype);
  return {[=] { benchmark::DoNotOptimize(ops::swiglu(x)); }, bytes_of({x}) * 1.5};
}
Work make_swiglu_backward(Dtype dtype) {
  const Tensor x = normal({kRows, 2 * kWidth}, dtype);
  const Tensor dy = normal({kRows, kWidth}, dtype);
  return {[=] { benchmark::DoNotOptimize(ops::swiglu_backward(dy, x)); }, bytes_of({dy, x, x})};
}

Work make_add(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  const Tensor other = x.clone();
  return {[=] { benchmark::DoNotOptimize(ops::add(x, other)); }, bytes_of({x, x, x})};
}
Work make_mul_row(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  const Tensor row = normal({kWidth}, Dtype::kF32);
  return {[=] { benchmark::DoNotOptimize(ops::mul(x, row)); }, bytes_of({x, x})};
}
Work make_scale(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  return {[=] { benchmark::DoNotOptimize(ops::scale(x, 0.5)); }, bytes_of({x, x})};
}
Work make_accumulate(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  Tensor total = Tensor::zeros({kRows, kWidth}, Dtype::kF32);
  return {[=]() mutable { ops::accumulate(x, total); }, bytes_of({x, total, total})};
}
Work make_sum_all(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  return {[=] { benchmark::DoNotOptimize(ops::sum(x)); }, bytes_of({x})};
}
Work make_sum_rows(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  return {[=] { benchmark::DoNotOptimize(ops::sum(x, {-1})); }, bytes_of({x})};
}
Work make_sum_columns(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  return {[=] { benchmark::DoNotOptimize(ops::sum(x, {0})); }, bytes_of({x})};
}
Work make_max_rows(Dtype dtype) {
  const Tensor x = normal({kRows, kWidth}, dtype);
  return {[=] { benchmark::DoNotOptimize(ops::max(x, -1)); }, bytes_of({x})};
}

Work make_dropout(Dtype dtype) {
  const Tensor x = normal({16, 1024, kWidth}, dtype);
  const Tensor samples = Tensor::zeros({16}, Dtype::kI64);
  return {[=] { benchmark::DoNotOptimize(ops::dropout(x, 0.1, RandomStream{.seed = 1}, samples)); },
          bytes_of({x, x})};
}
Work make_rope(Dtype dtype) {
  const Tensor x = normal({16, 1024, 12, 64}, dtype);
  const Tensor positions = Tensor::zeros({1, 1024}, Dtype::kI32);
  const ops::RopeTable table = ops::make_rope_table(1024, 64, 10000.0);
  return {[=] { benchmark::DoNotOptimize(ops::rope(x, positions, table)); }, bytes_of({x, x})};
}

constexpr std::int32_t kVocabulary = 50257;
Tensor tokens() {
  Tensor ids = Tensor::empty({kRows}, Dtype::kI32);
  const RandomStream stream{.seed = 1};
  for (std::int64_t i = 0; i < kRows; ++i) {
    ids.data<std::int32_t>()[i] =
        static_cast<std::int32_t>(stream.below(kVocabulary, static_cast<std::uint32_t>(i)));
  }
  return ids;
}
Work make_embedding(Dtype dtype) {
  const Tensor table = normal({kVocabulary, kWidth}, dtype);
  const Tensor ids = tokens();
  return {[=] { benchmark::DoNotOptimize(ops::embedding(ids, table)); },
          2.0 * static_cast<double>(kRows * kWidth) * static_cast<double>(size_of(dtype))};
}
Work make_embedding_backward(Dtype dtype) {
  const Tensor dy = normal({kRows, kWidth}, dtype);
  Tensor dtable = Tensor::zeros({kVocabulary, kWidth}, Dtype::kF32);
  const Tensor ids = tokens();
  return {[=]() mutable { ops::embedding_backward(dy, ids, dtable, true); },
          static_cast<double>(kRows * kWidth) * (8.0 + static_cast<double>(size_of(dtype)))};
}

using Make = Work (*)(Dtype);
constexpr std::pair<const char*, Make> kOps[] = {
    {"softmax/forward", make_softmax},
    {"softmax/backward", make_softmax_backward},
    {"layer_norm/forward", make_layer_norm},
    {"layer_norm/backward", make_layer_norm_backward},
    {"rms_norm/forward", make_rms_norm},
    {"rms_norm/backward", make_rms_norm_backward},
    {"swiglu/forward", make_swiglu},
    {"swiglu/backward", make_swiglu_backward},
    {"add", make_add},
    {"mul_row", make_mul_row},
    {"scale", make_scale},
    {"accumulate", make_accumulate},
    {"sum/all", make_sum_all},
    {"sum/rows", make_sum_rows},
    {"sum/columns", make_sum_columns},
    {"max/rows", make_max_rows},
    {"dropout", make_dropout},
    {"rope", make_rope},
    {"embedding/forward", make_embedding},
    {"embedding/backward", make_embedding_backward},
};

const bool registered = [] {
  for (const auto& [name, make] : kOps) {
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
      benchmark::RegisterBenchmark(concat("rows/", name, '/', dtype).c_str(),
                                   [make = make, dtype](benchmark::State& state) {
                                     const Work work = make(dtype);
                                     work.run();  // takes the page faults of fresh memory
                                     bench::report_bytes(state, work.bytes,
                                                         bench::fastest(state, work.run));
                                   })
          ->MinTime(0.1)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
  return true;
}();

}  // namespace
}  // namespace clausius
