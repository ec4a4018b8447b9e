// SPDX-License-Identifier: Apache-2.0
// Memory-bound ops over rows of activations: norms, softmax, gates, sums, embedding, rope, copies.
#include <initializer_list>

#include "core/ops/accumulate/accumulate.h"
#include "core/ops/axpby/axpby.h"
#include "core/ops/binary/binary.h"
#include "core/ops/dropout/dropout.h"
#include "core/ops/embedding/embedding.h"
#include "core/ops/gated/gated.h"
#include "core/ops/layer_norm/layer_norm.h"
#include "core/ops/leaky_relu/leaky_relu.h"
#include "core/ops/linear/linear.h"
#include "core/ops/reduce/reduce.h"
#include "core/ops/rms_norm/rms_norm.h"
#include "core/ops/rope/rope.h"
#include "core/ops/row_squares/row_squares.h"
#include "core/ops/scale/scale.h"
#include "core/ops/scaled_add/scaled_add.h"
#include "core/ops/softmax/softmax.h"
#include "core/random.h"
#include "train/benchmarks/micro.h"
#include "train/benchmarks/timing.h"

namespace clausius {
namespace {

constexpr double kEps = 1e-5;

double bytes_of(std::initializer_list<Tensor> tensors) {
  double bytes = 0;
  for (const Tensor& tensor : tensors) {
    bytes += static_cast<double>(tensor.bytes());
  }
  return bytes;
}

// Makes operands of one size, type and device.
struct Operands {
  Device device;
  std::int64_t rows;
  std::int64_t width;
  std::int64_t vocabulary;
  Dtype dtype;

  [[nodiscard]] Tensor values(const Shape& shape) const {
    return normal_values(shape, dtype, device);
  }
  [[nodiscard]] Tensor matrix() const { return values({rows, width}); }
  [[nodiscard]] Tensor row() const { return normal_values({width}, Dtype::kF32, device); }
  [[nodiscard]] Tensor tokens() const {
    Tensor ids = Tensor::empty({rows}, Dtype::kI32);
    const RandomStream stream{.seed = 1};
    for (std::int64_t i = 0; i < rows; ++i) {
      ids.data<std::int32_t>()[i] = static_cast<std::int32_t>(
          stream.below(static_cast<std::uint32_t>(vocabulary), static_cast<std::uint32_t>(i)));
    }
    return ids.to(device);
  }
};

MicroWork layer_norm(const Operands& o) {
  const Tensor x = o.matrix();
  const Tensor gain = o.row();
  return {.run = [=] { (void)ops::layer_norm(x, gain, gain, kEps); }, .bytes = bytes_of({x, x})};
}
MicroWork layer_norm_backward(const Operands& o) {
  const Tensor x = o.matrix();
  const Tensor dy = x.clone();
  const Tensor gain = o.row();
  const ops::LayerNormOutput out = ops::layer_norm(x, gain, gain, kEps);
  return {.run = [=] { (void)ops::layer_norm_backward(dy, x, gain, out.mean, out.rstd, true); },
          .bytes = bytes_of({dy, x, x})};
}
MicroWork rms_norm(const Operands& o) {
  const Tensor x = o.matrix();
  const Tensor gain = o.row();
  return {.run = [=] { (void)ops::rms_norm(x, gain, kEps); }, .bytes = bytes_of({x, x})};
}
MicroWork rms_norm_backward(const Operands& o) {
  const Tensor x = o.matrix();
  const Tensor dy = x.clone();
  const Tensor gain = o.row();
  const ops::RmsNormOutput out = ops::rms_norm(x, gain, kEps);
  return {.run = [=] { (void)ops::rms_norm_backward(dy, x, gain, out.rstd); },
          .bytes = bytes_of({dy, x, x})};
}

MicroWork softmax(const Operands& o) {
  const Tensor x = o.matrix();
  return {.run = [=] { (void)ops::softmax(x); }, .bytes = bytes_of({x, x})};
}
MicroWork softmax_backward(const Operands& o) {
  const Tensor y = o.matrix();
  const Tensor dy = y.clone();
  return {.run = [=] { (void)ops::softmax_backward(dy, y); }, .bytes = bytes_of({dy, y, y})};
}
MicroWork swiglu(const Operands& o) {
  const Tensor x = o.values({o.rows / 2, 2 * o.width});
  return {.run = [=] { (void)ops::swiglu(x); }, .bytes = 1.5 * bytes_of({x})};
}
MicroWork swiglu_backward(const Operands& o) {
  const Tensor x = o.values({o.rows / 2, 2 * o.width});
  const Tensor dy = o.values({o.rows / 2, o.width});
  return {.run = [=] { (void)ops::swiglu_backward(dy, x); }, .bytes = bytes_of({dy, x, x})};
}

MicroWork add(const Operands& o) {
  const Tensor x = o.matrix();
  const Tensor other = x.clone();
  return {.run = [=] { (void)ops::add(x, other); }, .bytes = bytes_of({x, x, x})};
}
Tensor one_factor(const Operands& o) {
  return Tensor::full({1}, 0.5, Dtype::kF32, o.device);
}
MicroWork scaled_add(const Operands& o) {
  const Tensor x = o.matrix();
  const Tensor other = x.clone();
  const Tensor factor = one_factor(o);
  return {.run = [=] { (void)ops::scaled_add(x, factor, other, factor); },
          .bytes = bytes_of({x, x, x})};
}
MicroWork scaled_add_backward(const Operands& o) {
  const Tensor x = o.matrix();
  const Tensor other = x.clone();
  const Tensor dy = x.clone();
  const Tensor factor = one_factor(o);
  return {.run = [=] { (void)ops::scaled_add_backward(dy, x, factor, other, factor); },
          .bytes = bytes_of({dy, x, x, x, x})};
}
MicroWork leaky_relu(const Operands& o) {
  const Tensor x = o.matrix();
  const Tensor slope = one_factor(o);
  return {.run = [=] { (void)ops::leaky_relu(x, slope); }, .bytes = bytes_of({x, x})};
}
MicroWork leaky_relu_backward(const Operands& o) {
  const Tensor x = o.matrix();
  const Tensor dy = x.clone();
  const Tensor slope = one_factor(o);
  return {.run = [=] { (void)ops::leaky_relu_backward(dy, x, slope, true); },
          .bytes = bytes_of({dy, x, x})};
}
MicroWork mul_row(const Operands& o) {
  const Tensor x = o.matrix();
  const Tensor row = o.row();
  return {.run = [=] { (void)ops::mul(x, row); }, .bytes = bytes_of({x, x})};
}
MicroWork scale(const Operands& o) {
  const Tensor x = o.matrix();
  return {.run = [=] { (void)ops::scale(x, 0.5); }, .bytes = bytes_of({x, x})};
}
MicroWork accumulate(const Operands& o) {
  const Tensor x = o.matrix();
  Tensor total = Tensor::zeros(x.shape(), Dtype::kF32, o.device);
  return {.run = [=]() mutable { ops::accumulate(x, total); },
          .bytes = bytes_of({x, total, total})};
}
MicroWork axpby(const Operands& o) {
  const Tensor x = o.matrix();
  Tensor y = x.clone();
  return {.run = [=]() mutable { ops::axpby(0.5, x, 0.5, y); }, .bytes = bytes_of({x, y, y})};
}
MicroWork dropout(const Operands& o) {
  const Tensor x = o.values({16, o.rows / 16, o.width});
  const Tensor samples = Tensor::zeros({16}, Dtype::kI64, o.device);
  return {.run = [=] { (void)ops::dropout(x, 0.1, RandomStream{.seed = 1}, samples); },
          .bytes = bytes_of({x, x})};
}

MicroWork row_squares(const Operands& o) {
  const Tensor x = o.matrix();
  const Tensor x_BTM = x.reshape({1, x.size(0), x.size(1)});
  Tensor sums = Tensor::zeros({2}, Dtype::kF64, o.device);
  return {.run = [=]() mutable { ops::row_squares(x_BTM, {}, sums); }, .bytes = bytes_of({x})};
}
MicroWork sum_all(const Operands& o) {
  const Tensor x = o.matrix();
  return {.run = [=] { (void)ops::sum(x); }, .bytes = bytes_of({x})};
}
MicroWork sum_rows(const Operands& o) {
  const Tensor x = o.matrix();
  return {.run = [=] { (void)ops::sum(x, {-1}); }, .bytes = bytes_of({x})};
}
MicroWork sum_columns(const Operands& o) {
  const Tensor x = o.matrix();
  return {.run = [=] { (void)ops::sum(x, {0}); }, .bytes = bytes_of({x})};
}
MicroWork max_rows(const Operands& o) {
  const Tensor x = o.matrix();
  return {.run = [=] { (void)ops::max(x, -1); }, .bytes = bytes_of({x})};
}
MicroWork bias_gradient(const Operands& o) {
  const Tensor dy = o.matrix();
  Tensor dbias = Tensor::zeros({o.width}, Dtype::kF32, o.device);
  return {.run = [=]() mutable { ops::linear_bias_gradient(dy, dbias); }, .bytes = bytes_of({dy})};
}

MicroWork rope(const Operands& o) {
  constexpr std::int64_t kHeadDim = 64;
  const std::int64_t T = o.rows / 16;
  const Tensor x = o.values({16, T, o.width / kHeadDim, kHeadDim});
  const Tensor positions = Tensor::zeros({1, T}, Dtype::kI32, o.device);
  const ops::RopeTable table = ops::make_rope_table(T, kHeadDim, 10000.0).to(o.device);
  return {.run = [=] { (void)ops::rope(x, positions, table); }, .bytes = bytes_of({x, x})};
}
MicroWork embedding(const Operands& o) {
  const Tensor table = o.values({o.vocabulary, o.width});
  const Tensor ids = o.tokens();
  return {
      .run = [=] { (void)ops::embedding(ids, table); },
      .bytes = 2.0 * static_cast<double>(o.rows * o.width) * static_cast<double>(size_of(o.dtype))};
}
// Reads dy, and reads and writes the rows of the table that occur, at most all of them.
MicroWork embedding_backward(const Operands& o) {
  const Tensor dy = o.matrix();
  Tensor dtable = Tensor::zeros({o.vocabulary, o.width}, Dtype::kF32, o.device);
  const Tensor ids = o.tokens();
  const double table_rows =
      std::min(static_cast<double>(o.rows), static_cast<double>(o.vocabulary));
  return {.run = [=]() mutable { ops::embedding_backward(dy, ids, dtable, true); },
          .bytes = bytes_of({dy}) + 8.0 * table_rows * static_cast<double>(o.width)};
}

MicroWork copy_dense(const Operands& o) {
  const Tensor x = o.matrix();
  Tensor y = x.clone();
  return {.run = [=]() mutable { y.copy_from(x); }, .bytes = bytes_of({x, y})};
}
MicroWork copy_converted(const Operands& o) {
  const Tensor x = o.matrix();
  Tensor y =
      Tensor::empty(x.shape(), o.dtype == Dtype::kF32 ? Dtype::kBf16 : Dtype::kF32, o.device);
  return {.run = [=]() mutable { y.copy_from(x); }, .bytes = bytes_of({x, y})};
}
MicroWork copy_transposed(const Operands& o) {
  const Tensor x = o.matrix();
  Tensor y = Tensor::empty({o.width, o.rows}, o.dtype, o.device);
  return {.run = [=]() mutable { y.copy_from(x.transpose(0, 1)); }, .bytes = bytes_of({x, y})};
}
// [B, T, H, D] to dense [B, H, T, D].
MicroWork copy_heads(const Operands& o) {
  constexpr std::int64_t kHeadDim = 64;
  const Tensor x = o.values({16, o.rows / 16, o.width / kHeadDim, kHeadDim}).transpose(1, 2);
  Tensor y = Tensor::empty(x.shape(), o.dtype, o.device);
  return {.run = [=]() mutable { y.copy_from(x); }, .bytes = bytes_of({x, y})};
}

using Make = MicroWork (*)(const Operands&);
constexpr std::pair<const char*, Make> kOps[] = {
    {"layer_norm/forward", layer_norm},
    {"layer_norm/backward", layer_norm_backward},
    {"rms_norm/forward", rms_norm},
    {"rms_norm/backward", rms_norm_backward},
    {"softmax/forward", softmax},
    {"softmax/backward", softmax_backward},
    {"swiglu/forward", swiglu},
    {"swiglu/backward", swiglu_backward},
    {"leaky_relu/forward", leaky_relu},
    {"leaky_relu/backward", leaky_relu_backward},
    {"add", add},
    {"scaled_add/forward", scaled_add},
    {"scaled_add/backward", scaled_add_backward},
    {"mul_row", mul_row},
    {"scale", scale},
    {"accumulate", accumulate},
    {"axpby", axpby},
    {"dropout", dropout},
    {"row_squares", row_squares},
    {"sum/all", sum_all},
    {"sum/rows", sum_rows},
    {"sum/columns", sum_columns},
    {"max/rows", max_rows},
    {"bias_gradient", bias_gradient},
    {"rope", rope},
    {"embedding/forward", embedding},
    {"embedding/backward", embedding_backward},
    {"copy/dense", copy_dense},
    {"copy/converted", copy_converted},
    {"copy/transposed", copy_transposed},
    {"copy/heads", copy_heads},
};

void add_rows(BenchmarkList& list) {
  const Operands operands{.device = list.device(),
                          .rows = list.shapes().rows,
                          .width = list.shapes().width,
                          .vocabulary = list.shapes().vocabulary,
                          .dtype = Dtype::kF32};
  for (const auto& [name, make] : kOps) {
    list.add(concat(name, "/", operands.rows, "x", operands.width), [=, make = make](Dtype dtype) {
      Operands typed = operands;
      typed.dtype = dtype;
      return make(typed);
    });
  }
}

CLS_BENCHMARKS("rows", add_rows);

}  // namespace
}  // namespace clausius
